"""The frozen networks that metrics measure with."""
