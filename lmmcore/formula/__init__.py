"""Formulas: text -> terms (`parse`), terms + rows -> columns (`design`)."""
