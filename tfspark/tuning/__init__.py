"""Search for the recipe that gives the best model: Optuna's trials, trained over Spark."""

from tfspark.tuning.run import tune

__all__ = ["tune"]
