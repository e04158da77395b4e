"""X2Face (Wiles et al., ECCV 2018)."""
