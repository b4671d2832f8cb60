"""How long a sound the language model hears, and in how many audio tokens."""
