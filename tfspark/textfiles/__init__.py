"""Tables in files of text: which files, which columns, and their rows as batches of text."""
