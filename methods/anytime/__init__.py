"""Anytime: Large Displacement Motion Transfer with Unsupervised Anytime Interpolation (ICML 2025)."""
