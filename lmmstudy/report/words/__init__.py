"""Numbers and sentences as they are printed."""
