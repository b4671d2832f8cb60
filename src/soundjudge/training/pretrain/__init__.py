"""The second training of the language model: ranking as the teacher does."""
