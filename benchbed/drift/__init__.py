"""The check that keeps numbers from drifting unnoticed: baselines, noise floors, and what has moved."""
