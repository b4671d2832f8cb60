"""Named rows of numbers as memory-mapped shards."""
