"""`tfspark show`: datasets, tables, images, models, runs, contracts and recipes for people."""
