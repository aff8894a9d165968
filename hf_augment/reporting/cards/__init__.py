"""What a run found, as the README of a repository: its facts in, Markdown with the Hub's metadata out."""
