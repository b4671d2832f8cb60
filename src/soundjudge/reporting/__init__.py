"""Metrics and plots for people; no training depends on it."""
