"""CSV files as Arrow batches of text, read exactly (RFC 4180), or refused with file and line."""
