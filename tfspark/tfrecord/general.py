"""Records of any form, taken apart level by level, all at once.

What protocol buffers allow but no writer of TFRecord does (unpacked numbers, a message in two
parts, a name twice) is left to `wire.parse`, a record at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tfspark.tensors import Array
from tfspark.tfrecord import varint, wire
from tfspark.tfrecord.payload import parts
from tfspark.tfrecord.restore import ABSENT, RAW, MisfitError, Values
from tfspark.tfrecord.schema import Feature
from tfspark.tfrecord.spans import Spans, gather, split

_LIST = 0x0A  # field 1, length-delimited
_TAG = {"bytes": 0x0A, "float": 0x12, "int64": 0x1A}


def decode(
    data: Array, begin: Array, end: Array, features: Sequence[Feature]
) -> tuple[list[Values | None], Array]:
    """The values of features in records.

    Args:
        data: uint8, with `SLACK` bytes after the last end.
        begin: int64 [records], ascending.
        end: int64 [records].

    Returns:
        The values of each feature, and bool [records]: those that must be taken one by one;
        where there are any, the values are not to be used, and are None.
    """
    top, odd = split(data, begin, end)
    entries: list[tuple[Spans, pa.Array] | None] = [None, None]
    for side, tag in enumerate((0x0A, 0x12)):
        if any(feature.depth == 2 for feature in features) or side == 0:
            entries[side] = _map(data, top.where(top.tag == tag), odd)
    out: list[Values | None] = []
    for feature in features:
        found = entries[feature.depth == 2]
        mine = _named(found, feature.key) if found else None
        if mine is None:
            inner = np.empty(0, "int64") if feature.depth == 2 else None
            none = pa.array([], RAW[feature.kind])
            out.append(Values(np.full(len(begin), ABSENT), none, inner))
            continue
        if len(mine.owner) > 1:
            odd[mine.owner[1:][np.diff(mine.owner) == 0]] = True
        if odd.any():
            out.append(None)
        elif feature.depth == 2:
            out.append(_feature_lists(data, mine, len(begin), feature, odd))
        else:
            counts, values = _features(data, mine, feature, odd)
            rows = np.full(len(begin), ABSENT)
            if not odd.any():
                rows[mine.owner] = counts
            out.append(Values(rows, values))
    return (out, odd) if not odd.any() else ([None] * len(features), odd)


def _map(data: Array, messages: Spans, odd: Array) -> tuple[Spans, pa.Array]:
    """The entries of maps: where the values are, of which record, and their names."""
    found, strange = split(data, messages.begin, messages.end)
    odd[messages.owner[strange]] = True
    entries = found.where(found.tag == _LIST).of(messages.owner)
    parts, strange = split(data, entries.begin, entries.end)
    odd[entries.owner[strange]] = True
    keys = parts.where(parts.tag == 0x0A)
    values = parts.where(parts.tag == 0x12)
    for part in (keys, values):
        missing = np.bincount(part.owner, minlength=len(entries.owner)) != 1
        odd[entries.owner[missing]] = True
    if odd.any():
        good = ~odd[entries.owner]
        keys, values = keys.where(good[keys.owner]), values.where(good[values.owner])
    names = gather(data, keys.begin, keys.end).dictionary_encode()
    return values.of(entries.owner), names


def _named(found: tuple[Spans, pa.Array], key: bytes) -> Spans | None:
    values, names = found
    code = names.dictionary.index(pa.scalar(key, pa.large_binary())).as_py()
    if code < 0:
        return None
    return values.where(names.indices.to_numpy() == code)


def _feature_lists(
    data: Array, lists: Spans, rows: int, feature: Feature, odd: Array
) -> Values | None:
    inner, strange = split(data, lists.begin, lists.end)
    odd[lists.owner[strange]] = True
    inner = inner.where(inner.tag == _LIST)
    counts = np.full(rows, ABSENT)
    counts[lists.owner] = np.bincount(inner.owner, minlength=len(lists.owner))
    sizes, values = _features(data, inner.of(lists.owner), feature, odd)
    return Values(counts, values, sizes)


def _features(data: Array, messages: Spans, feature: Feature, odd: Array) -> tuple[Array, pa.Array]:
    """How many values each Feature holds (`ABSENT` without a kind), and all values, flat."""
    owner = messages.owner
    bodies, strange = split(data, messages.begin, messages.end)
    odd[owner[strange]] = True
    kinds = np.bincount(bodies.owner, minlength=len(owner))
    odd[owner[kinds > 1]] = True
    strange_kind = ~np.isin(bodies.tag, list(_TAG.values()))
    odd[owner[bodies.owner[strange_kind]]] = True
    none = (np.empty(0, "int64"), pa.array([], RAW[feature.kind]))
    if odd.any():
        return none
    wrong = bodies.tag != _TAG[feature.kind]
    if wrong.any():
        at = int(np.argmax(wrong))
        kind = wire.KINDS[int(bodies.tag[at]) >> 3]
        raise other_kind(int(owner[bodies.owner[at]]), feature, kind)
    items, strange = split(data, bodies.begin, bodies.end)
    strange[items.owner[items.tag != _LIST]] = True
    counts = np.full(len(owner), ABSENT)
    per_list = np.bincount(items.owner, minlength=len(bodies.owner))
    if feature.kind != "bytes":
        strange |= per_list > 1  # a packed list in two parts
    odd[owner[bodies.owner[strange]]] = True
    if odd.any():
        return none
    if feature.kind == "bytes":
        counts[bodies.owner] = per_list
        return counts, gather(data, items.begin, items.end)
    packed = gather(data, items.begin, items.end)
    sizes, values = _numbers(packed, feature.kind)
    if values is None:
        odd[owner[bodies.owner[items.owner]]] = True
        return none
    per_list[items.owner] = sizes
    counts[bodies.owner] = per_list
    return counts, values


def _numbers(packed: pa.Array, kind: str) -> tuple[Array, pa.Array | None]:
    """Packed numbers of lists: how many in each, and all, flat; None where some are damaged."""
    data, starts = parts(packed)
    data, starts = data[starts[0] : starts[-1]], starts - starts[0]
    if kind == "float":
        if (starts % 4).any():
            return starts, None
        return np.diff(starts) // 4, pa.array(data.view("<f4"))
    try:
        values, ends = varint.decode(data)
    except ValueError:
        return starts, None
    cut = starts[1:]
    filled = cut[np.diff(starts) > 0]
    if len(filled) and (data[filled - 1] > 127).any():
        return starts, None
    if len(ends) == len(data):
        return np.diff(starts), pa.array(values)
    return np.diff(np.searchsorted(ends, starts, "right")), pa.array(values)


def decode_each(
    records: list[bytes], features: Sequence[Feature]
) -> tuple[list[Values], list[int]]:
    """The same, a record at a time; the second are the records that are no messages.

    Those have none of the features in what is returned first.
    """
    parsed, damaged = [], []
    for number, record in enumerate(records):
        try:
            parsed.append(wire.parse(record))
        except wire.WireError:
            parsed.append(({}, {}))
            damaged.append(number)
    out = []
    for feature in features:
        counts = np.full(len(records), ABSENT)
        inner: list[int] = []
        flat: list[object] = []
        for row, (single, lists) in enumerate(parsed):
            found = lists.get(feature.key) if feature.depth == 2 else None
            if feature.depth < 2 and feature.key in single:
                found = [single[feature.key]]
            if found is None:
                continue
            for kind, values in found:
                if kind not in (None, feature.kind):
                    raise other_kind(row, feature, str(kind))
                inner.append(ABSENT if kind is None else len(values))
                flat += values
            counts[row] = len(found) if feature.depth == 2 else inner[-1]
        array = pa.array(flat, RAW[feature.kind])
        sizes = np.array(inner, "int64") if feature.depth == 2 else None
        out.append(Values(counts, array, sizes))
    return out, damaged


def other_kind(row: int, feature: Feature, kind: str) -> MisfitError:
    """The error of a feature that holds another list than the schema says."""
    return MisfitError(
        row, f"holds {kind} values in {feature.name}, the schema says {feature.kind}"
    )
