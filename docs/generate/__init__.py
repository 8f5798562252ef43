"""Man pages and shell completions, made from the usage texts: `python -m docs.generate`."""
