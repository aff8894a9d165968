"""Images as uint8 arrays: decoded once, as rows and batches, in grids, and the small ResNet."""
