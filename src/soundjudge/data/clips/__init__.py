"""Stored clips: memory-mapped shards of 16-bit samples."""
