"""What every room may use: threads, memory, progress, checked arguments, files that are read back."""
