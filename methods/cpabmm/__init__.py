"""CPABMM: Continuous Piecewise-Affine Based Motion Model for Image Animation (Wang et al., AAAI 2024)."""
