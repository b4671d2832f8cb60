"""Ratings in files of users, CSV or Parquet: screened and standardized."""
