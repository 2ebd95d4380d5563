"""The tables of a stream: each takes a batch once, as Delta notes its number in the commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfspark import storage, tables
from tfspark.errors import StorageError
from tfspark.sparkerrors import running

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class BatchWriter:
    """Appends a batch to tables.

    Attributes:
        checkpoint: the stream's folder, which knows its id.
        number: the batch's number.
    """

    spark: SparkSession
    checkpoint: str
    number: int
    run_id: str

    @property
    def app(self) -> str:
        """Under what name Delta notes the batches of this stream."""
        path = storage.join(self.checkpoint, "metadata")
        about = storage.checked(storage.read_json(path), path, id=str)
        return f"tfspark-{about['id']}"

    def append(self, rows: DataFrame, table: str, *partition: str) -> None:
        """Append the rows of the batch, with its number, to a table that does not have it.

        Raises:
            StorageError: the table has other columns, or the write failed.
        """
        tables.check_columns(tables.target_schema(self.spark, table), rows.schema, table)
        writer = (
            rows.write.format("delta")
            .mode("append")
            .option("txnAppId", self.app)
            .option("txnVersion", str(self.number))
            .option("userMetadata", self.run_id)
        )
        if partition:
            writer = writer.partitionBy(*partition)
        if any(set(name) & set(" ,;{}()\n\t=") for name in rows.columns):
            # Delta's own names for Parquet columns, since Parquet's cannot hold these characters.
            writer = writer.option("delta.columnMapping.mode", "name")
        with running(f"writing batch {self.number}", table):
            if tables.is_path(table):
                writer.save(table)
            else:
                writer.saveAsTable(table)

    def last(self, table: str) -> int | None:
        """The stream's last batch that is in a table; None: there is none, or no table.

        Raises:
            StorageError: the table's log cannot be read.
        """
        if not tables.is_there(self.spark, table):
            return None
        return _last_batch(self.spark, table, self.app)

    def has(self, table: str) -> bool:
        """Whether a table has the batch already.

        Raises:
            StorageError: it has a later one, so Delta would drop this one without a word.
        """
        last = self.last(table)
        if last is not None and last > self.number:
            raise StorageError(
                f"{table}: has batch {last} of this stream, and {self.checkpoint} is at "
                f"{self.number}: the checkpoint is older than the table (restored from a copy?). "
                "Take the newest one; or delete it and name where to begin (startingVersion)"
            )
        return last == self.number


def _last_batch(spark: SparkSession, table: str, app: str) -> int | None:
    """The number that Delta has noted last for an application; None: none."""
    from delta.tables import DeltaTable
    from deltalake import DeltaTable as Log

    location = table
    if not tables.is_path(table):
        detail = DeltaTable.forName(spark, table).detail().select("location")
        location = str(detail.collect()[0][0])
    if location.startswith("file:") or "://" not in location:
        location = storage.filesystem(location)[1]
    try:
        last: int | None = Log(storage.for_delta(location)).transaction_version(app)
    except Exception as error:
        raise StorageError(f"{table}: its log cannot be read: {error}") from error
    return last
