"""Training: dataset → model version in the registry."""

from tfspark.training.train import train

__all__ = ["train"]
