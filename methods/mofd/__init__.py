"""MOFD: motion optimisation with feature decoupling, an extension of TPSMM; written from its paper alone."""
