"""CLAPs of every kind behind one protocol, a file a kind."""
