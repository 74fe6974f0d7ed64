"""From a tidy table to the records of candidates, and the one selected."""
