"""The files of a dataset: named, counted, described for its manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from tfspark import storage
from tfspark.contracts import Contract
from tfspark.dataset import SPLITS
from tfspark.errors import StorageError
from tfspark.prepare.splits import Made
from tfspark.rowgroups import footers
from tfspark.tfrecord import Layout, write_sidecar
from tfspark.tfrecord.folder.manifest import SUCCESS, FileEntry, Manifest, write_manifest

_LABELS = 1000  # that are counted


def place_files(
    made: Sequence[Made], folder: str, layout: Layout | None
) -> dict[str, dict[str, Any]]:
    """Give the files of all tasks their names `<split>/part-NNNNN.<format>`, in their order.

    TFRecord files get their schema and their own manifest beside them.

    Args:
        layout: of TFRecord; None: Parquet.

    Returns:
        What the dataset's manifest says of every file: bytes, sha256, rows.

    Raises:
        StorageError: a file cannot be moved, or holds other rows than its task wrote.
    """
    entries: dict[str, dict[str, Any]] = {}
    for split in SPLITS:
        inside = sorted((one for one in made if one.split == split), key=lambda one: one.number)
        files = [file for one in inside for file in one.files]
        if layout is None:  # no file without rows, beside others
            files = [file for file in files if file[1]] or files[:1]
        storage.make_dir(storage.join(folder, split))
        listed = {}
        for number, (path, rows, size, digest) in enumerate(files):
            ending = path.rpartition("/")[2].partition(".")[2]
            name = f"part-{number:05}.{ending}"
            to = storage.join(folder, split, name)
            storage.move(path, to)
            entries[f"{split}/{name}"] = {"bytes": size, "sha256": digest, "rows": rows}
            listed[name] = FileEntry(to, rows, size)
        if layout is not None:
            where = storage.join(folder, split)
            write_manifest(where, Manifest(layout, pa.schema([]), listed))
            write_sidecar(where, layout)
            storage.write_bytes(storage.join(where, SUCCESS), b"")
    _check(folder, entries)
    return entries


def other_files(folder: str, known: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the manifest says of the files that hold no rows: bytes, sha256."""
    return {
        name: {"bytes": size, "sha256": storage.sha256(storage.join(folder, name))}
        for name, size in storage.files(folder)
        if name not in known
    }


def described(made: Sequence[Made], contract: Contract) -> dict[str, Any]:
    """Missing values by column, rows by label and a hash of all rows, of every split."""
    nulls, labels, hashes = {}, {}, {}
    for split in SPLITS:
        inside = [one for one in made if one.split == split]
        nulls[split] = {
            column.name: sum(one.nulls[number] for one in inside)
            for number, column in enumerate(contract.columns)
        }
        counts: Counter[str] = Counter()
        xor = 0
        for one in inside:
            counts.update(dict(one.labels))
            xor ^= one.hashes[1]
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_LABELS]
        labels[split] = dict(sorted(most))
        hashes[split] = f"{sum(one.hashes[0] for one in inside)} {xor}"
    return {
        "nulls": nulls,
        "label_counts": labels if contract.label else None,
        "row_hashes": hashes,
    }


def _check(folder: str, entries: dict[str, dict[str, Any]]) -> None:
    """Whether the files hold the rows that their tasks counted."""
    paths = {storage.join(folder, name): name for name in entries if name.endswith(".parquet")}
    for footer in footers(list(paths), []):
        found, rows = (
            sum(group.rows for group in footer.groups),
            entries[paths[footer.path]]["rows"],
        )
        if found != rows:
            raise StorageError(
                f"{footer.path}: holds {found} rows, its task wrote {rows}; nothing was published; "
                "prepare it again"
            )
