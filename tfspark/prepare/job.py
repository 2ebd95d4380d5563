"""Raw table → dataset: check, quarantine, split, describe, publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.config import Settings, require_date
from tfspark.console import Steps
from tfspark.contracts import Contract, load_contract
from tfspark.contracts.checks import check
from tfspark.dataset import (
    CONTRACT,
    MANIFEST,
    SPLITS,
    STATISTICS,
    digest_of,
    open_dataset,
    read_manifest,
    versions,
)
from tfspark.errors import ConfigError, StorageError
from tfspark.prepare.statistics import statistics
from tfspark.prepare.write import (
    check_rows,
    file_entries,
    read_split,
    require_narrowing,
    write_splits,
)
from tfspark.quarantine import quarantine, refuse_above, refuse_empty
from tfspark.sparkerrors import reading
from tfspark.tables import RAW, REASONS, quote, read_source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_BAD = "_tfspark_bad"


def prepare(spark: SparkSession, settings: Settings, steps: Steps) -> dict[str, Any]:
    """Make one version of the dataset from the raw table of the date.

    The same rows and settings give the version that is there already.

    Args:
        spark: the session that reads and writes.
        settings: `name`, `contract`, `source`, `date`, `warehouse` and the section `prepare`.
        steps: where the log of the steps goes.

    Returns:
        The summary: version, path, rows in, quarantined, rows by split.

    Raises:
        SourceMissing: the raw table, or its day, is not there.
        ContractViolation: more bad rows than the contract allows; they are in the quarantine.
        StorageError: rows were lost on the way, or a folder cannot be written.
    """
    if not settings.name or not settings.contract:
        raise ConfigError("prepare needs name and contract; give them with --config FILE")
    contract = load_contract(settings.contract)
    day = require_date(settings)
    if settings.prepare.format == "tfrecord":
        require_narrowing(contract, settings.prepare.narrow)
    staging = storage.new_staging(settings.datasets, "prepare")
    try:
        with steps.step("check rows") as info:
            checked = _check(spark, settings, contract, storage.join(staging, "checked"))
            rows_in, bad = _count(checked)
            info |= {"rows": rows_in, "bad": bad}
        if not rows_in:
            refuse_empty(settings.source.path, settings.source, day)
        with steps.step("quarantine", rows=bad):
            bad_rows = checked.where(_BAD)
            quarantine(
                bad_rows,
                settings.quarantine,
                table=contract.name,
                day=day,
                job="prepare",
                run_id=steps.run_id,
            )
        refuse_above(
            contract.table.quarantine,
            bad_rows,
            where=settings.source.path,
            rows=rows_in,
            bad=bad,
            table=settings.quarantine,
        )
        new = storage.join(staging, "new")
        good = checked.where(~checked[_BAD]).drop(_BAD, REASONS, RAW)
        with steps.step("write splits") as info:
            size = sum(size for _, size in storage.files(storage.join(staging, "checked")))
            rows = write_splits(good, new, contract, settings.prepare, size)
            info |= rows
            if sum(rows.values()) + bad != rows_in:
                raise StorageError(
                    f"{settings.source.path}: {rows_in} rows came in, {bad} are quarantined, but "
                    f"{sum(rows.values())} were split; nothing was published"
                )
        with steps.step("statistics"):
            splits = {
                name: read_split(spark, storage.join(new, name), contract, settings.prepare.format)
                for name in SPLITS
            }
            found = statistics(splits["train"], contract, settings.prepare.vocabulary)
            storage.write_json(storage.join(new, STATISTICS), {"columns": found})
            described = _describe(splits, rows, contract)
        with steps.step("publish") as info:
            storage.write_bytes(storage.join(new, CONTRACT), storage.read_bytes(settings.contract))
            manifest = _manifest(settings, contract, new, rows, bad) | described
            manifest["digest"] = digest_of(manifest, found)
            path, reused = _publish(settings.datasets, new, manifest)
            info["path"] = path
    finally:
        storage.delete(staging)
    dataset = open_dataset(path)
    return {
        "dataset": f"{dataset.name} version {dataset.version}"
        + (" (there already, the same rows)" if reused else ""),
        "path": dataset.path,
        "rows_in": rows_in,
        "quarantined": bad,
        **dataset.manifest["rows"],
        "digest": dataset.digest[:12],
    }


def _check(spark: SparkSession, settings: Settings, contract: Contract, to: str) -> DataFrame:
    """Read the source once; what follows reads what was checked."""
    from pyspark.sql import functions as F

    source = read_source(spark, settings.source, settings.date)
    with reading(settings.source.path):
        checked = check(source, contract, settings.source.path)
        checked.withColumn(_BAD, F.size(REASONS) > 0).write.parquet(to)
    return spark.read.parquet(to)


def _count(checked: DataFrame) -> tuple[int, int]:
    counts = {row[_BAD]: row["count"] for row in checked.groupBy(_BAD).count().collect()}
    return sum(counts.values()), counts.get(True, 0)


def _describe(
    splits: dict[str, DataFrame], rows: dict[str, int], contract: Contract
) -> dict[str, Any]:
    """Missing values by column, rows by label and a hash of all rows, of every split.

    Raises:
        StorageError: what is read back is not as many rows as were written.
    """
    from pyspark.sql import functions as F

    nulls, labels, hashes = {}, {}, {}
    columns = [F.col(quote(c.name)) for c in contract.columns]
    # Of the set of rows, whatever their order. A null adds nothing to a hash, so it is said apart.
    row_hash = F.xxhash64(*columns, *[column.isNull() for column in columns])
    for split, part in splits.items():
        missing = [F.count_if(c.isNull()).alias(str(i)) for i, c in enumerate(columns)]
        whole = F.sum(row_hash.cast("decimal(38,0)")).alias("sum"), F.bit_xor(row_hash).alias("xor")
        row = part.agg(*missing, *whole, F.count("*").alias("rows")).collect()[0]
        if row["rows"] != rows[split]:
            raise StorageError(
                f"split {split}: {rows[split]} rows were written, {row['rows']} are read back; "
                "nothing was published"
            )
        hashes[split] = f"{row['sum']} {row['xor']}"
        nulls[split] = {c.name: row[i] for i, c in enumerate(contract.columns)}
        if contract.label:
            counts = part.groupBy(F.col(quote(contract.label)).cast("string")).count()
            most = counts.orderBy(F.desc("count")).limit(1000).collect()
            labels[split] = {str(row[0]): row[1] for row in sorted(most, key=lambda r: str(r[0]))}
    return {
        "nulls": nulls,
        "label_counts": labels if contract.label else None,
        "row_hashes": hashes,
    }


def _manifest(
    settings: Settings, contract: Contract, folder: str, rows: dict[str, int], bad: int
) -> dict[str, Any]:
    names = [name for name, _ in storage.files(folder)]
    files = file_entries(folder, names)
    check_rows(files, rows)
    asked = settings.prepare
    stored = {"compression": asked.compression, "narrow": asked.narrow}
    return {
        "name": settings.name,
        "day": settings.date and settings.date.isoformat(),
        "contract": contract.digest(),
        "source": {"format": settings.source.format, "path": settings.source.path},
        "split": asked.split.model_dump(mode="json"),
        "format": asked.format,
        **(stored if asked.format == "tfrecord" else {}),
        "rows": rows,
        "quarantined": bad,
        "files": files,
    }


def _publish(folder: str, new: str, manifest: dict[str, Any]) -> tuple[str, bool]:
    """Give the folder its number; the manifest, written last, makes it a dataset."""
    for number in reversed(versions(folder)):
        path = storage.join(folder, str(number))
        there = read_manifest(path)
        # Other bytes of the same rows are no other dataset.
        own = {"version": None, "files": None}
        if {**there, **own} == {**manifest, **own}:
            return path, True
    taken = [int(name) for name in storage.names(folder) if name.isdigit()]
    number = max(taken, default=0) + 1
    path = storage.join(folder, str(number))
    storage.write_json(storage.join(new, MANIFEST), {**manifest, "version": number})
    storage.move(new, path)
    return path, False
