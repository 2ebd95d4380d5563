"""Images in folders and zips, as rows: which files count, their bytes, and whether a model can
decode them."""
