"""From listeners' ratings to targets and from captions to pairs: tables in, tables out."""
