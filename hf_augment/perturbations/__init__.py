"""What may befall the inputs of a classifier at five severities, and classic augmentation of texts."""
