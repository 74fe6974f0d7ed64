"""The model as an equation."""
