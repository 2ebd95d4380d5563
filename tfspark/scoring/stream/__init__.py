"""A stream scored into a Delta table."""
