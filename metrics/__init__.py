"""Metrics, a file a subject, each with cards that spell out its variants."""
