"""What may enter a shard: the interface of a filter, the filters for texts and images, and whom they ask."""
