"""Covariance parameters on the user's scales: standard errors, profiles, shares."""
