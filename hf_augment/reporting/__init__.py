"""One typed result of a comparison, and what renders it: terminal, HTML, Markdown, plots, cards."""

from hf_augment.extras import optional_imports


with optional_imports("report"):
    import matplotlib
    import rich
