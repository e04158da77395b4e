"""benchbed: the test bed for image animation (motion transfer)."""

__version__ = "0.1.0"
