"""Filters, which decide what may enter a shard."""
