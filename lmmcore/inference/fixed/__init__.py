"""Tests and standard errors of fixed effects, with their degrees of freedom."""
