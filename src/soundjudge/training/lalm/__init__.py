"""What the trainings of the audio language model share."""
