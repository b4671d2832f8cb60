"""Listeners' ratings to targets: screening, standardization, the rater model, reliability."""
