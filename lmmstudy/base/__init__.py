"""What every room of the study may use: files, logs, fingerprints of code, text."""
