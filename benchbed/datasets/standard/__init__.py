"""The field's data sets: what their papers state, how a root is prepared, and whether one is what it should be."""
