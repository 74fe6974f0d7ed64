"""An F test of each term, with its hypothesis in words."""
