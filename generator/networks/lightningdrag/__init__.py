"""LightningDrag's networks (Shi et al., arXiv 2405.13722) on diffusers and transformers.

Layers are numbered 0..15 in the order of the UNet's attention processors: down, up, mid.
"""
