"""DAM: Structure-Aware Motion Transfer with Deformable Anchor Model (Tao et al., CVPR 2022)."""
