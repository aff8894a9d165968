"""Publish a run on the Hub: stage, then push."""
