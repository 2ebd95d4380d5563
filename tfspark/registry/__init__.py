"""Model versions: manifest, signature, safety, MLflow."""
