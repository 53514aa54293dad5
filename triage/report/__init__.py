"""One document, many renderers, one seal."""
