"""Anytime, second version: source and interpolated image are seen at once (ICML 2025)."""
