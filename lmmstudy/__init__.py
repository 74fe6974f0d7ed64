"""The study around lmmcore: configuration, cleaning, candidates, reports, runs."""
