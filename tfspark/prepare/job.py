"""Raw table → dataset: check, quarantine, split, describe, publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.compat.catalyst import root_paths
from tfspark.compat.spark import LITERAL
from tfspark.config import Settings, require_date
from tfspark.config.textoptions import forms_of
from tfspark.console import Steps
from tfspark.contracts import Contract, load_contract
from tfspark.contracts.load import content as contract_bytes
from tfspark.contracts.load import named
from tfspark.contracts.types import family
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
from tfspark.dayfiles.commit import end
from tfspark.errors import ConfigError, SourceMissing, StorageError
from tfspark.features.words import Counted, counted_words
from tfspark.images.table import ImageTable
from tfspark.keys import duplicates
from tfspark.mask import mask_text
from tfspark.plainfiles.raw import RawTable
from tfspark.prepare.files import described, other_files, place_files
from tfspark.prepare.images import image_rules
from tfspark.prepare.narrow import narrowed_layout
from tfspark.prepare.spill import BAD, Spilled, SpillTask
from tfspark.prepare.split import by_split
from tfspark.prepare.splits import Made, SplitTask, shares_of
from tfspark.prepare.statistics import EXACT_ROWS, statistics
from tfspark.quarantine import Ready, quarantine, refuse_above, refuse_count, refuse_empty
from tfspark.rowchecks import RowChecks
from tfspark.sparkerrors import reading
from tfspark.tables import day_column, read_table, source_rows
from tfspark.targets import refuse_foreign, refuse_overlap
from tfspark.tfrecord import Layout

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def prepare(
    spark: SparkSession,
    settings: Settings,
    steps: Steps,
    before_commit: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Make one version of the dataset from the raw table of the date.

    The same rows and settings give the version that is there already.

    Args:
        spark: the session that reads and writes.
        settings: `name`, `contract`, `source`, `date`, `warehouse` and the section `prepare`.
        steps: where the log of the steps goes.
        before_commit: called before bad rows are written and before the dataset is published; what
            it raises ends the run.

    Returns:
        The summary: version, path, rows in, quarantined, rows by split.

    Raises:
        SourceMissing: the raw table, or its day, is not there.
        ContractViolation: more bad rows than the contract allows; they are in the quarantine.
        ConfigError: the warehouse lies in the source, or its datasets or quarantine around it.
        StorageError: rows were lost on the way, or a folder cannot be written.
    """
    if not settings.name or not settings.contract:
        raise ConfigError("prepare needs name and contract; give them with --config FILE")
    contract = load_contract(settings.contract)
    require_date(settings)
    by_split(contract, settings.prepare.split)
    layout = None
    if settings.prepare.format == "tfrecord":
        layout = narrowed_layout(contract, settings.prepare.narrow)
    if settings.source.format != "jdbc":
        source = settings.source.place(settings.date)
        read = [source] if settings.source.format != "table" else _places(spark, source)
        for target in (settings.datasets, settings.quarantine):
            refuse_overlap(target, read, "warehouse")
    refuse_foreign(settings.quarantine, "warehouse")
    staging = storage.new_staging(settings.datasets, "prepare", remove=end)
    try:
        run = _Run(spark, settings, steps, contract, layout, staging)
        run.check()
        before_commit()
        run.quarantine()
        made = run.write()
        new = storage.join(staging, "new")
        with steps.step("statistics"):
            summaries = [one.summary for one in made if one.summary]
            found = statistics(spark, summaries, contract, settings.prepare.vocabulary, run.words)
            storage.write_json(storage.join(new, STATISTICS), {"columns": found})
        with steps.step("publish") as info:
            storage.write_bytes(storage.join(new, CONTRACT), contract_bytes(settings.contract))
            manifest = _manifest(settings, contract, made, run.bad)
            manifest["files"] = run.files | other_files(new, run.files)
            manifest["digest"] = digest_of(manifest, found)
            before_commit()
            path, reused = _publish(settings.datasets, new, manifest)
            info["path"] = path
    finally:
        end(staging)
    dataset = open_dataset(path)
    return {
        "dataset": f"{dataset.name} version {dataset.version}"
        + (" (there already, the same rows)" if reused else ""),
        "path": dataset.path,
        "rows_in": run.rows,
        "quarantined": run.bad,
        **dataset.manifest["rows"],
        "digest": dataset.digest[:12],
    }


def _places(spark: SparkSession, table: str) -> list[str]:
    """Where a table of the catalog lies."""
    try:
        return root_paths(read_table(spark, table))
    except SourceMissing:
        return []


class _Run:
    """One run: rows checked into slices, bad ones quarantined, slices made into files.

    Attributes:
        words: that are counted.
        rows, bad: number of rows that came in, and of those that are bad.
        files: what the manifest says of the files of rows.
    """

    def __init__(
        self,
        spark: SparkSession,
        settings: Settings,
        steps: Steps,
        contract: Contract,
        layout: Layout | None,
        staging: str,
    ) -> None:
        self._spark, self._settings, self._steps = spark, settings, steps
        self._contract, self._layout, self._staging = contract, layout, staging
        self._source = settings.source.place(settings.date)
        self.words = counted_words(settings.features)
        for one in self.words:
            _check_text(one, contract)
        self.rows = self.bad = 0
        self.files: dict[str, dict[str, Any]] = {}
        self._parts: list[Spilled] = []

    def check(self) -> None:
        """Read the source once; what follows reads what was checked."""
        asked, folder = self._settings.prepare, storage.join(self._staging, "checked")
        storage.make_dir(folder)
        with self._steps.step("check rows", rate=True) as info:
            source, named = self._settings.source, [c.name for c in self._contract.columns]
            rows = source_rows(self._spark, source, self._settings.date, named)
            forms = forms_of(source.format, source.options)
            raw = RawTable(self._spark, rows, self._source, folder)
            contract = by_split(self._contract, asked.split)
            by = day_column(source, self._settings.date)
            inside = image_rules(self._settings.features, contract)
            checks = RowChecks(
                contract, raw.schema, self._source, forms, tensors=True, by=by, inside=inside
            )
            self._schema, self._bits = checks.schema, raw.bits()
            twice = duplicates(self._spark, raw, contract, self._source, folder, forms)
            keys = tuple(self._contract.keys)
            task = SpillTask(checks, twice, keys, asked.split, folder, self._bits)
            with reading(self._source):
                self._parts = raw.run(task)
            self.rows = sum(part.rows for part in self._parts)
            self.bad = sum(part.bad for part in self._parts)
            info |= {"rows": self.rows, "bad": self.bad}
            if isinstance(rows, ImageTable) and rows.left_out:
                info |= {"no_images": len(rows.left_out), "such_as": rows.left_out[0]}
        if not self.rows:
            refuse_empty(self._source, self._settings.source, require_date(self._settings))

    def quarantine(self) -> None:
        """Put the bad rows into their table, and stop where they are too many.

        Raises:
            ContractViolation: they are.
        """
        table = self._settings.quarantine
        with self._steps.step("quarantine", rows=self.bad):
            rows = self._bad_rows()
            quarantine(
                rows,
                table,
                {"table": self._contract.name, "job": "prepare"},
                day=require_date(self._settings),
                run_id=self._steps.run_id,
                ready=Ready(self._bad_files(), self._staging),
            )
        refuse_above(
            self._contract.table.quarantine,
            rows,
            where=self._source,
            rows=self.rows,
            bad=self.bad,
            table=table,
        )
        refuse_count(self._contract.table.quarantine, where=self._source, rows=self.rows)

    def write(self) -> list[Made]:
        """Write the files of all splits, and count that no row was lost."""
        slices = [one for part in self._parts for one in part.good]
        train = sum(one.rows for one in slices if one.number >> self._bits == 0)
        task = SplitTask(
            self._contract,
            self._settings.prepare,
            self._schema,
            storage.join(self._staging, "checked"),
            self._layout,
            exact=train <= EXACT_ROWS,
            words=self.words,
        )
        with self._steps.step("write splits", self.rows - self.bad) as info, reading(self._source):
            shares = shares_of(slices, self._settings.prepare, self._bits)
            sent = self._spark.sparkContext.parallelize(shares, len(shares))
            made: list[Made] = sorted(sent.map(task).collect(), key=lambda one: one.number)
            self.files = place_files(made, storage.join(self._staging, "new"), self._layout)
            info |= _rows(made)
            written = sum(_rows(made).values())
            if written + self.bad != self.rows:
                raise StorageError(
                    f"{self._source}: {self.rows} rows came in, {self.bad} are quarantined, but "
                    f"{written} were split; nothing was published"
                )
        return made

    def _bad_files(self) -> tuple[str, ...]:
        return tuple(part.bad_file for part in self._parts if part.bad_file)

    def _bad_rows(self) -> DataFrame:
        if files := self._bad_files():
            return self._spark.read.options(**LITERAL).schema(BAD).parquet(*files)
        return self._spark.createDataFrame([], BAD)


def _check_text(words: Counted, contract: Contract) -> None:
    texts = (c for c in contract.columns if family(c.physical_type) == "string")
    known = [c.name for c in texts if c.role == "feature" and not c.key]
    if words.column not in known:
        raise ConfigError(
            f"features: kind text: contract {contract.name} has no column {words.column} of type "
            f"string; it has {', '.join(known) or 'none'}"
        )


def _rows(made: Sequence[Made]) -> dict[str, int]:
    return {name: sum(one.rows for one in made if one.split == name) for name in SPLITS}


def _manifest(
    settings: Settings, contract: Contract, made: Sequence[Made], bad: int
) -> dict[str, Any]:
    asked = settings.prepare
    stored = {"compression": asked.compression, "narrow": asked.narrow}
    return {
        "name": settings.name,
        "day": settings.date and settings.date.isoformat(),
        "contract": contract.digest(),
        **({"table": contract.name} if named(settings.contract)[1] else {}),
        "source": {"format": settings.source.format, "path": mask_text(settings.source.path)},
        "split": asked.split.model_dump(mode="json"),
        "format": asked.format,
        **(stored if asked.format == "tfrecord" else {}),
        "rows": _rows(made),
        "quarantined": bad,
        **described(made, contract),
    }


def _publish(folder: str, new: str, manifest: dict[str, Any]) -> tuple[str, bool]:
    """Give the folder its number; the manifest, written last, makes it a dataset."""
    storage.sweep_claims(folder, MANIFEST)
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
    storage.publish(new, path, MANIFEST)
    return path, False
