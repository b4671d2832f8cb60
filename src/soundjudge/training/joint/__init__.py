"""What a training needs to join a captioner's likelihood to a language model's score."""
