"""A model on its way to the workers: bound to columns, packed, cached."""
