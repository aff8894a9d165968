"""From candidates to shards on disk: the pipeline, the store and the producers that run ahead of training."""
