"""A model behind TensorFlow Serving's REST API, for trying clients: `tfspark serve`."""
