"""`prepare`: raw table → dataset."""

from tfspark.prepare.job import prepare

__all__ = ["prepare"]
