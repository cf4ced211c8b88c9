"""Tables on a terminal, in Markdown, LaTeX, CSV and HTML."""
