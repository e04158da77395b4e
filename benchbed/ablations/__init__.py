"""Ablation studies: a method's published variants trained with several seeds, and whether the published directions hold."""
