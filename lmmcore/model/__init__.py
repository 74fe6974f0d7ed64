"""A specification bound to rows: grouping, coordinates in which digits survive, columns."""
