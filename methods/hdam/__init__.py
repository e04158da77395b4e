"""HDAM: hierarchical Deformable Anchor Model for structure-aware motion transfer (Tao et al., CVPR 2022)."""
