"""Agreement with listeners, with its evidence."""
