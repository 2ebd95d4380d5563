"""A contract's checks on Arrow batches: typed columns, and of bad rows every reason."""

from tfspark.rowchecks.check import Checked, RowChecks, Times
from tfspark.rowchecks.daychecks import DayChecks

__all__ = ["Checked", "DayChecks", "RowChecks", "Times"]
