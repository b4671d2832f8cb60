"""The captioner as a member: how likely a text is given a sound, and given others."""
