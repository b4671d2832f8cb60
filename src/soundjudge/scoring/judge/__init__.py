"""The public scorer, its folder and its model card."""
