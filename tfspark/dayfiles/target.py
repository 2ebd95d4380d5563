"""Whether deltalake can commit files of tasks to a target."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pyspark.sql import types as T

from tfspark import storage
from tfspark.dayfiles.commit import differs
from tfspark.daywrite import ODD
from tfspark.sparkerrors import first_line
from tfspark.tablenames import is_path

_PLAIN = re.compile(r"[^ ,;{}()\n\t=.`]+")
_WRITER_FEATURES = {"appendOnly", "invariants", "timestampNtz"}


class NotByFiles(Exception):
    """Tasks cannot write the target's files; the message says why."""


def check_target(target: str, schema: T.StructType, by: Sequence[str] = ("day",)) -> None:
    """Whether deltalake can commit a day of files to the target.

    Raises:
        NotByFiles: it cannot.
    """
    from deltalake import DeltaTable, Schema

    if not is_path(target):
        raise NotByFiles("the target is a table of the catalog")
    if ODD.search(target):
        raise NotByFiles("the target's path has one of the characters # ? % \\")
    if odd := [name for name in _names(schema) if not _PLAIN.fullmatch(name)]:
        raise NotByFiles(f"a column of the target has a name of special characters: {odd[0]}")
    if any(field.metadata for field in schema):
        raise NotByFiles("columns carry metadata of Spark")
    try:
        Schema.from_json(json.dumps(delta_schema(schema)))
    except Exception as error:
        raise NotByFiles(f"deltalake does not know a type: {first_line(error)}") from None
    try:
        storage.filesystem(target)
        place = storage.for_delta(target)
        if not DeltaTable.is_deltatable(place):
            return
        table = DeltaTable(place)
        metadata, protocol = table.metadata(), table.protocol()
        vectors = sum(batch.num_rows for batch in table.deletion_vectors())
    except Exception as error:
        raise NotByFiles(f"deltalake cannot open the target: {first_line(error)}") from None
    if metadata.partition_columns != list(by):
        alone = ", ".join(by) + (" alone" if len(by) == 1 else "")
        raise NotByFiles(f"the target is not partitioned by {alone}")
    features = {*(protocol.writer_features or ()), *(protocol.reader_features or ())}
    set_up = sorted(
        name
        for name, value in metadata.configuration.items()
        if name.startswith("delta.constraints.")
        or (name == "delta.appendOnly" and value == "true")
        or (name == "delta.columnMapping.mode" and value != "none")
    )
    fields = json.loads(table.schema().to_json())["fields"]
    about = {f["name"]: sorted(set(f["metadata"]) - {ADDED}) for f in fields}
    set_up += [f"{name}: {', '.join(keys)}" for name, keys in about.items() if keys]
    if unknown := sorted(features - _WRITER_FEATURES) + set_up:
        raise NotByFiles(f"the target has {', '.join(unknown)}")
    if vectors:
        raise NotByFiles("the target has deletion vectors")
    known = T.StructType([field for field in schema if field.name in about])
    if differs(table, delta_schema(known)):
        raise NotByFiles("the target has columns that take no null")


ADDED = "tfspark.added"
"""Key of the metadata of a column that a run has added to the table: the run."""


def delta_schema(schema: T.StructType) -> dict[str, Any]:
    """A schema as Delta's log has it, everything nullable, as Spark makes it."""
    described: dict[str, Any] = json.loads(schema.json())
    _nullable(described)
    return described


def _nullable(described: Any) -> None:
    if isinstance(described, dict):
        for key in ("nullable", "containsNull", "valueContainsNull"):
            if key in described:
                described[key] = True
        for value in described.values():
            _nullable(value)
    elif isinstance(described, list):
        for value in described:
            _nullable(value)


def _names(kind: T.DataType) -> list[str]:
    """The names of the fields, at every level."""
    if isinstance(kind, T.ArrayType):
        return _names(kind.elementType)
    if isinstance(kind, T.MapType):
        return [*_names(kind.keyType), *_names(kind.valueType)]
    if isinstance(kind, T.StructType):
        return [name for field in kind for name in (field.name, *_names(field.dataType))]
    return []
