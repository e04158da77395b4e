"""What training is made of whatever the method: recipes, the step over pairs of frames, losses, starts."""
