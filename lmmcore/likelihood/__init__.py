"""The deviance as a function of the covariance parameters, with exact derivatives."""
