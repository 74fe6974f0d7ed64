"""Marginal means and slopes, and families of comparisons among them."""
