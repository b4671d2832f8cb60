"""The training of SPO-CLAPScore on listeners' ratings."""
