"""Model builders: `builder(features, output, **params) -> keras.Model`."""
