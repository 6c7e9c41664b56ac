"""From sources to token tables on disk, and from those to batches."""
