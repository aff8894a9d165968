"""One typed result of a comparison, and what renders it: terminal, HTML, Markdown, plots, cards."""
