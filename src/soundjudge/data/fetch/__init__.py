"""What is fetched from the Hugging Face hub."""
