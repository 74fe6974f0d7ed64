"""One regression per subject, and the two-stage estimate."""
