"""The nouns of the house: frozen values, no input or output, no room above."""
