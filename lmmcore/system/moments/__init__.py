"""Sums over the rows of units: all that the likelihood needs of the data, under any residual covariance."""
