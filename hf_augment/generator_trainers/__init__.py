"""Trainers of generators."""
