"""Every table between stages: columns, rules, reader and writer."""
