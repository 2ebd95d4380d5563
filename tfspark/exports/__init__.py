"""A model for another runtime, compared with the SavedModel it came from: `tfspark export`."""
