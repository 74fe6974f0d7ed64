"""Frames, summaries, saved fits, versions: what leaves the engine."""
