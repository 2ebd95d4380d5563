"""Arrow to records and back, in memory and in one file."""
