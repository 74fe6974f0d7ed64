"""What the selected model says beyond its record."""
