"""Which Arrow column becomes which feature, and the sidecar file that says so.

| column | feature |
|---|---|
| boolean, integers, dates, times, timestamps, durations | int64_list, in the column's own unit |
| float, half float | float_list |
| string, binary | bytes_list |
| decimal | bytes_list of its text, where the narrowing "string" is named |
| list of one of these | several values in one feature |
| list of lists | a feature list of a SequenceExample |
| struct | its fields, named `struct.field` |

A null is a feature that is not there; an empty list is a feature with an empty list. A struct
that is there though none of its fields is has a feature of its own name, an empty int64_list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from tfspark import storage
from tfspark.errors import ConfigError, IntegrityError
from tfspark.tensors import arrowtypes
from tfspark.tfrecord.codec import types
from tfspark.wording import say

SIDECAR = "_schema.json"
"""The name of the file beside the records that holds their schema."""

BYTES = pa.schema([("byteArray", pa.binary())])
"""The one column of records of any kind, as spark-tfrecord names it."""

Kind = Literal["bytes", "float", "int64", "record"]
RecordType = Literal["Example", "SequenceExample", "ByteArray"]
_VERSION = 1


@dataclass(frozen=True)
class Feature:
    """One feature of every record.

    Attributes:
        name: the name in the Example; a struct's field is `struct.field`.
        path: the struct's name and the field's, or only the column's.
        leaf: Arrow's type of one value.
        kind: which list of `feature.proto` holds the values; "record": the value is the record.
        depth: 0: one value; 1: a list; 2: a list of lists, in `feature_lists`.
        type: the column's whole type.
        marker: whether it marks a struct whose fields are all null; it has no values.
    """

    name: str
    path: tuple[str, ...]
    leaf: pa.DataType
    kind: Kind
    depth: int
    type: pa.DataType
    marker: bool = False

    @property
    def key(self) -> bytes:
        return self.name.encode()


@dataclass(frozen=True)
class Layout:
    """A schema compiled once. `features` are sorted by name, as they are in every record."""

    schema: pa.Schema
    features: tuple[Feature, ...]
    sequence: bool
    """Whether records are SequenceExamples: some column is a list of lists."""
    sampled: tuple[str, ...] | None = None
    """Of a schema from a sample: features that are left out. A record with another one is an error.
    None: the schema was declared, and other features are passed over."""

    @property
    def raw(self) -> bool:
        """Whether the one column is the records' bytes, whatever they are."""
        return any(feature.kind == "record" for feature in self.features)

    @property
    def record_type(self) -> RecordType:
        """What each record is."""
        return "ByteArray" if self.raw else "SequenceExample" if self.sequence else "Example"


def layout_of(
    schema: pa.Schema,
    narrow: Mapping[str, str] | None = None,
    record_type: RecordType | None = None,
) -> Layout:
    """Compile a schema; `Layout.schema` is what a reader of the file gets.

    Args:
        schema: the schema of the batches to write.
        narrow: feature → what it becomes: "float" (double, decimal), "int64" (uint64: a value
            beyond int64 stops the writing) or "string" (decimal: read back without loss). The
            feature "*" stands for every double and decimal that is not named.
        record_type: "ByteArray": the one binary column is the records themselves, whatever they
            are. "Example": no column may be a list of lists. None: what the columns need.

    Raises:
        ConfigError: a column that no Example holds without loss, two features of one name, or
            columns that are not of the record type.
    """
    if record_type == "ByteArray":
        kinds = schema.types
        if len(kinds) != 1 or not arrowtypes.is_bytes(kinds[0]):
            columns = ", ".join(f"{field.name}: {field.type}" for field in schema)
            raise ConfigError(say("no_byte_array", columns=columns))
        narrow = {schema.names[0]: "record"}
    left = dict(narrow or {})
    fields, features = [], []
    for field in schema:
        kept, found = _column(field, (field.name,), left)
        fields.append(kept)
        features += found
    left.pop("*", None)
    if left:
        raise ConfigError(f"narrow names {sorted(left)}: no such column needs a narrowing")
    names = [feature.name for feature in features]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"two columns make the feature {twice[0]!r}: rename one of them")
    if record_type == "Example":
        for feature in features:
            if feature.depth == 2:
                raise ConfigError(say("no_sequence", name=feature.name))
    ordered = tuple(sorted(features, key=lambda feature: feature.key))
    return Layout(pa.schema(fields), ordered, any(f.depth == 2 for f in features))


def layout_to_read(schema: pa.Schema, record_type: RecordType | None = None) -> Layout:
    """The layout of files that came without one: a decimal is its text, a uint64 an int64.

    Raises:
        ConfigError: as `layout_of` does, also of a double, which no Example holds.
    """
    narrow = {}
    for field in schema:
        stack = [(field.name, field.type)]
        while stack:
            name, kind = stack.pop()
            if pa.types.is_struct(kind):
                stack += [(f"{name}.{inner.name}", inner.type) for inner in kind]
                continue
            while arrowtypes.is_list(kind):
                kind = kind.value_type
            if pa.types.is_decimal(kind):
                narrow[name] = "string"
            elif pa.types.is_uint64(kind):
                narrow[name] = "int64"
    return layout_of(schema, narrow, record_type)


def write_sidecar(folder: str, layout: Layout) -> None:
    """Write `_schema.json` into a folder.

    Args:
        folder: a local path or a URI.
        layout: of the files in it.

    Raises:
        StorageError: it cannot be written.
    """
    storage.write_json(storage.join(folder, SIDECAR), to_json(layout))


def read_sidecar(folder: str) -> Layout | None:
    """The layout that a folder's `_schema.json` declares; None where there is none.

    Args:
        folder: a local path or a URI.

    Returns:
        The layout, or None.

    Raises:
        IntegrityError: the file is not one of ours, or of a later version.
    """
    path = storage.join(folder, SIDECAR)
    value = storage.find_json(path)
    return None if value is None else from_json(value, path)


def to_json(layout: Layout) -> dict[str, Any]:
    """What a sidecar holds."""
    decimals = [f.name for f in layout.features if pa.types.is_decimal(f.leaf)]
    unsigned = [f.name for f in layout.features if pa.types.is_uint64(f.leaf)]
    whole = [f.name for f in layout.features if f.kind == "record"]
    narrow = dict.fromkeys(decimals, "string") | dict.fromkeys(unsigned, "int64")
    return {
        "format": "tfrecord",
        "version": _VERSION,
        "record": layout.record_type,
        "fields": [types.field_to_json(field) for field in layout.schema],
        "features": {f.name: f.kind for f in layout.features},
        "narrow": narrow | dict.fromkeys(whole, "record"),
    }


def from_json(value: Any, path: str) -> Layout:
    """The layout of a sidecar's content; `path` is for messages.

    Raises:
        IntegrityError: it is not one of ours, or of a later version.
    """
    try:
        if value["format"] != "tfrecord" or value["version"] != _VERSION:
            raise IntegrityError(
                f"{path} is of format {value['format']!r}, version {value['version']!r}; this "
                f"tfspark reads tfrecord, version {_VERSION}: use the one that wrote it"
            )
        fields = [types.field_from_json(field) for field in value["fields"]]
        layout = layout_of(pa.schema(fields), value["narrow"])
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        raise IntegrityError(
            f"{path} does not declare a schema ({type(error).__name__}: {error}): it was damaged; "
            "give the schema yourself or write the folder again"
        ) from error
    return layout


def _column(
    field: pa.Field, path: tuple[str, ...], narrow: dict[str, str]
) -> tuple[pa.Field, list[Feature]]:
    """The field as it is read back, and the features that hold it."""
    kind, name = field.type, ".".join(path)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        marker = Feature(name, path, pa.int64(), "int64", 1, pa.list_(pa.int64()), marker=True)
        fields, features = [], [marker]
        for inner in kind:
            kept, found = _column(inner, (*path, inner.name), narrow)
            fields.append(kept)
            features += found
        return field.with_type(pa.struct(fields)), features
    depth, leaf, item = 0, kind, field
    lists = []
    while arrowtypes.is_list(leaf):
        lists.append(leaf)
        depth, item = depth + 1, leaf.value_field
        leaf = leaf.value_type
    leaf, feature_kind = _leaf(name, leaf, narrow)
    if depth > 2:
        raise ConfigError(f"column {name}: {kind} has {depth} list levels, two are the most")
    kind = leaf
    for outer in reversed(lists):
        item = outer.value_field.with_type(kind)
        if pa.types.is_fixed_size_list(outer):
            kind = pa.list_(item, outer.list_size)
        else:
            kind = pa.large_list(item) if pa.types.is_large_list(outer) else pa.list_(item)
    return field.with_type(kind), [Feature(name, path, leaf, feature_kind, depth, kind)]


def _leaf(name: str, leaf: pa.DataType, narrow: dict[str, str]) -> tuple[pa.DataType, Kind]:
    t = pa.types
    if pa.types.is_dictionary(leaf):
        leaf = leaf.value_type
    told = narrow.pop(name, None)
    ways: tuple[str, ...] = ()
    if t.is_float64(leaf):
        ways = ("float",)
    elif t.is_decimal(leaf):
        ways = ("float", "string")
    elif t.is_uint64(leaf):
        ways = ("int64",)
    if told is None and "float" in ways and narrow.get("*") in ways:
        told = narrow["*"]
    if told == "record" and arrowtypes.is_bytes(leaf):
        return leaf, "record"
    if ways and told not in ways:
        ask = " or ".join(f'{{"{name}": "{way}"}}' for way in ways)
        raise ConfigError(
            f"column {name}: an Example does not hold {leaf} without loss; name the narrowing "
            f"({ask}) or leave the column out"
        )
    if told and not ways:
        raise ConfigError(f"column {name}: {leaf} needs no narrowing; take it out of narrow")
    if told == "float":
        return pa.float32(), "float"
    if told == "string" or arrowtypes.is_text(leaf) or arrowtypes.is_bytes(leaf):
        return leaf, "bytes"
    if t.is_float32(leaf) or t.is_float16(leaf):
        return leaf, "float"
    if (
        t.is_integer(leaf)
        or t.is_boolean(leaf)
        or (t.is_temporal(leaf) and not t.is_interval(leaf))
    ):
        return leaf, "int64"
    raise ConfigError(
        f"column {name}: an Example holds no {leaf}; leave the column out or make it numbers, text "
        "or lists of them"
    )
