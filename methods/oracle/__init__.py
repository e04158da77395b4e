"""Reference row `oracle`: the ground truth."""
