"""One parser for each kind of artefact file; the only door to pyregf."""
