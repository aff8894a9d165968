"""The Trainer that blends: its arguments, checks, run, guard and mixin."""
