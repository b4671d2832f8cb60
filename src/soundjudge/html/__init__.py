"""HTML for people: templates, one style sheet, and numbers as positions in SVG."""
