"""Which version is the champion, since when, by whom and why: a Delta table in the warehouse.

The table decides; MLflow's alias `champion`, which `models:/name@champion` reads, mirrors it. Where
nobody has promoted yet there is no table, and the alias is the champion.
"""

from tfspark.champions.change import promote, rollback
from tfspark.champions.state import current, history, repair
from tfspark.champions.table import Champion

__all__ = ["Champion", "current", "history", "promote", "repair", "rollback"]
