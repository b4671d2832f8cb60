"""The third training of the language model: ranking as listeners do."""
