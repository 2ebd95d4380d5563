"""A schema from records that came without one."""

from __future__ import annotations

import pyarrow as pa

from tfspark.errors import IntegrityError, StorageError
from tfspark.tfrecord import wire
from tfspark.tfrecord.restore import RAW
from tfspark.tfrecord.stream import Source, compression_of
from tfspark.tfrecord.walk import Break, walk

_SAMPLE = 1 << 20  # bytes that are read at once


def infer_schema(path: str, records: int = 1000, compression: str | None = None) -> pa.Schema:
    """The schema that fits the first records of a file; columns are sorted by name.

    Every column is int64, float, or text where all sampled bytes are UTF-8, else binary; a list
    where a record has none or several values; a list of lists in `feature_lists`. All may be
    null, and a column without any value in the sample is left out.

    Raises:
        IntegrityError: a damaged record, or two records of which one holds integers and the other
            floats in one feature (record, offset).
        StorageError: the file cannot be read or has no record.
    """
    seen: dict[tuple[bool, bytes], _Seen] = {}
    source = Source(path, compression_of(path, compression))
    count = 0
    try:
        for chunk in walk(source, _SAMPLE):
            if isinstance(chunk, Break):
                at = f"record {chunk.record} at byte {chunk.offset}"
                raise IntegrityError(f"{path}: {at} is damaged: {chunk.reason}; give the schema")
            for number in range(min(len(chunk.begin), records - count)):
                begin = int(chunk.begin[number])
                at = f"record {count} at byte {chunk.offset + begin - 12}"
                try:
                    if not chunk.good[number]:
                        raise wire.WireError("the sum of its data is wrong")
                    found = wire.parse(chunk.data[begin : int(chunk.end[number])].tobytes())
                except wire.WireError as error:
                    raise IntegrityError(f"{path}: {at} is damaged: {error}") from None
                for key, values in found[0].items():
                    seen.setdefault((False, key), _Seen()).take(values, f"{path}: {at}", key)
                for key, lists in found[1].items():
                    for values in lists:
                        seen.setdefault((True, key), _Seen()).take(values, f"{path}: {at}", key)
                count += 1
            if count >= records:
                break
    finally:
        source.close()
    if not count:
        raise StorageError(f"{path} has no record to take a schema from: give the schema")
    fields = []
    for (nested, key), found_of in sorted(seen.items(), key=lambda item: item[0][1]):
        kind = found_of.type(nested)
        if kind is not None:
            fields.append(pa.field(key.decode(), kind))
    return pa.schema(fields)


class _Seen:
    """What a sample holds of one feature."""

    def __init__(self) -> None:
        self.kind: str | None = None
        self.single = True
        self.text = True
        self.filled = False

    def take(self, values: wire.Values, at: str, key: bytes) -> None:
        kind, found = values
        if kind is None:
            return
        self.single = self.single and len(found) == 1
        if not found and self.kind:
            return
        if found and self.kind not in (None, kind) and self.filled:
            raise IntegrityError(
                f"{at} holds {kind} values in {key.decode(errors='replace')}, records before it "
                f"{self.kind}: give the schema of the records that you want"
            )
        self.kind = kind
        self.filled = bool(found)
        for value in found:
            if isinstance(value, bytes):
                try:
                    value.decode()
                except UnicodeDecodeError:
                    self.text = False

    def type(self, nested: bool) -> pa.DataType | None:
        if self.kind is None:
            return None
        leaf = RAW[self.kind] if self.kind != "bytes" else pa.string() if self.text else pa.binary()
        if nested:
            return pa.list_(pa.list_(leaf))
        return leaf if self.single else pa.list_(leaf)
