"""From a raw file to a tidy table, with an account of every row."""
