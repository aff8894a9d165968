"""Feedback: what a run shows follows its classifier, in rounds."""
