"""A contract's checks on Arrow batches: typed columns, and of bad rows every reason."""

from tfspark.rowchecks.check import Checked, RowChecks, Times

__all__ = ["Checked", "RowChecks", "Times"]
