"""V of all rows as sums over units, one file per shape of the data, and the moments they are made of."""
