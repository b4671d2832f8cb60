"""Lists of pairs, and the losses over them."""
