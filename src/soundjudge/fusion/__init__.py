"""Early fusion: one kernel machine on features of CLAP and of the captioner."""
