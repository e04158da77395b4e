"""Methods that work, and methods that misbehave in one way each."""
