"""Which of the targets of listeners a training learns."""
