"""LightningDrag's networks (Shi et al., arXiv 2405.13722) on diffusers and transformers.

Layers are numbered in the order of the UNet's attention processors: down, up, mid (0..15 at full size).
"""
