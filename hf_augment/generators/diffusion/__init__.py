"""Diffusion models as generators of images."""
