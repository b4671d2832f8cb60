"""What the world gives, checked, and the tables and shards passed from stage to stage."""
