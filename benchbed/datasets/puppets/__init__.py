"""Procedurally drawn, articulated figures: the embedded default world."""
