"""JSON files as Arrow batches of text: one object a record, every value as it is written."""
