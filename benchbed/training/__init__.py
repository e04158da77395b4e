"""The training loop that every trainable method shares."""
