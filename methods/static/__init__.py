"""Reference row `static`: the source, unmoved."""
