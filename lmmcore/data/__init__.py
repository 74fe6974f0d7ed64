"""Rows from any frame or file: numbers and categories, without missing values."""
