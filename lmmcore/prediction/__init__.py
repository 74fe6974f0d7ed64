"""Predictions for new rows, and how far they may be off."""
