"""CSV files that people wrote: strict reading, and errors that name the remedy."""
