"""Judges that others trained and published."""
