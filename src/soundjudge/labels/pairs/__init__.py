"""Captioned clips to matched and mismatched pairs, each with the teacher's score."""
