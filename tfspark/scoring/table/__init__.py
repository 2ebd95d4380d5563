"""A table scored into one day of a Delta table."""
