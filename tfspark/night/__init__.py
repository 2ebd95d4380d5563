"""A night: what is done once a day, and what is said of it."""
