"""Judges, which give p(label | example): classifiers, also out of fold, and language models that are asked."""
