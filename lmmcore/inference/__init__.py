"""What may be concluded: fixed effects, covariance parameters, whole models."""
