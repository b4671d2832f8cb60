"""Ratings in anyone's files, CSV or Parquet: screened and standardized."""
