"""What the three trainings of the audio language model share."""
