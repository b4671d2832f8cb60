"""Names and folders of the Hugging Face hub."""
