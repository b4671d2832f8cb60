"""Pages for people: the report of systems as one file, and the local page of a judge."""
