"""The built-in sample: what a user would download, in small."""
