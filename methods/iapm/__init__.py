"""IAPM: Image Animation with Perturbed Masks (Shalev, Wolf, CVPR 2022)."""
