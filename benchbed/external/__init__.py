"""Frames made by any other program, scored as a method's own are."""
