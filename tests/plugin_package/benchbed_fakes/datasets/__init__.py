"""A dataset that costs nothing."""
