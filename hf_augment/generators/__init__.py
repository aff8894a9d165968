"""Generators: labels and a seed in, raw examples out."""
