"""Perturbations of texts and images at five severities, and classic augmentation of texts."""
