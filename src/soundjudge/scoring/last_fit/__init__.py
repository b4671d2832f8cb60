"""What is said of a judge that was fitted on all rated pairs."""
