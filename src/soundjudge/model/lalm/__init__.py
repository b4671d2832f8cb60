"""The audio language model: prompt, projector, score head, checkpoints."""
