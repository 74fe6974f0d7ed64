"""Fits of Parquet files too large to load: the rows are read once, and only their moments are kept."""
