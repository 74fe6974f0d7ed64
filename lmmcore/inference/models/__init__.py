"""Comparisons of models: nesting, null distributions at the boundary, criteria."""
