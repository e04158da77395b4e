"""The protocols: which cases, which metrics."""
