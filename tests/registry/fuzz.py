"""SavedModels with fields doubled, moved, nested, cut: what a parser may read in its own way."""

from __future__ import annotations

from random import Random

from google.protobuf.internal.encoder import _VarintBytes as varint

from tfspark.registry.fields import saved_model_fields

Field = tuple[int, int, bytes]  # number, wire type, the value as it is written

_INSIDE: dict[str, dict[int, str]] = {}


def fuzzed(content: bytes, random: Random, more: list[bytes]) -> bytes:
    """A model changed in one to three places.

    Args:
        more: models to take fields from.
    """
    for _ in range(random.choice((1, 1, 2, 3))):
        content = _changed(content, "SavedModel", random, more)
    return content


def _changed(content: bytes, message: str, random: Random, more: list[bytes]) -> bytes:
    """The message changed, here or in a message in it."""
    fields = split(content)
    if fields is None:
        return content
    kinds = _inside()[message]
    below = [place for place, (n, wire, _) in enumerate(fields) if n in kinds and wire == 2]
    if below and random.random() < 0.8:
        # Those of a kind are many: the others would hardly be met.
        number = random.choice(sorted({fields[place][0] for place in below}))
        place = random.choice([place for place in below if fields[place][0] == number])
        kind = kinds[number]
        others = [v for m in more for n, w, v in split(m) or [] if n == number and w == 2]
        inner = _changed(fields[place][2], kind, random, others or [fields[place][2]])
        fields[place] = (number, 2, inner)
    else:
        _change(fields, message, random, more)
    return joined(fields, random)


def _change(fields: list[Field], message: str, random: Random, more: list[bytes]) -> None:
    place = random.randrange(len(fields) + 1)
    number, wire, value = fields[place] if place < len(fields) else (1, 2, b"")
    known = sorted(_inside()[message]) or [1]
    what = random.randrange(10)
    if what == 0:
        fields.insert(random.randrange(len(fields) + 1), (number, wire, value))
    elif what == 1:
        random.shuffle(fields)
    elif what == 2:
        fields.insert(place, (number, 2, b""))
    elif what == 3:
        fields[place : place + 1] = []
    elif what == 4:
        fields.append((number, wire, value[: len(value) // 2]))
    elif what == 5:
        fields.append((random.choice((number, 0, 77)), 3, b""))  # a group
        fields.append((number, 4, b""))
    elif what == 6:
        fields.append((random.choice(known), 2, value if wire == 2 else b""))
    elif what == 7:
        fields.append((number, random.choice((0, 1, 5)), random.randbytes(8)))
    elif what == 8:
        fields += split(random.choice(more)) or []
    else:
        damaged = bytearray(value or b"\0")
        damaged[random.randrange(len(damaged))] = random.randrange(256)
        fields[place : place + 1] = [(number, wire, bytes(damaged))]


def split(content: bytes) -> list[Field] | None:
    """The fields of a message; None if it is none."""
    fields, at = [], 0
    while at < len(content):
        tag, at = _number(content, at)
        start, wire = at, tag & 7
        if wire == 0:
            _, at = _number(content, at)
        elif wire == 2:
            size, start = _number(content, at)
            at = start + size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        if wire not in (0, 1, 2, 5) or at > len(content):
            return None
        fields.append((tag >> 3, wire, content[start:at]))
    return fields


def joined(fields: list[Field], random: Random | None = None) -> bytes:
    parts = []
    for number, wire, value in fields:
        parts.append(varint(number << 3 | wire))
        if wire == 2:
            size = varint(len(value))
            if random is not None and random.random() < 0.0005:
                size = size[:-1] + bytes((size[-1] | 128, 0))  # longer than need be
            parts.append(size)
        if wire in (0, 1, 2, 5):
            parts.append(value[: {1: 8, 5: 4}.get(wire)])
    return b"".join(parts)


def _number(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    for place in range(at, min(len(content), at + 10)):
        number |= (content[place] & 127) << shift
        shift += 7
        if content[place] < 128:
            return number, place + 1
    return 0, len(content) + 1


def _inside() -> dict[str, dict[int, str]]:
    """Message → number of a field → the message that it holds."""
    if not _INSIDE:
        lines = [line.split() for line in saved_model_fields()]
        for message, number, _, kind, *_ in lines:
            inside = _INSIDE.setdefault(message, {})
            if kind[0].isupper():
                inside[int(number)] = kind
                _INSIDE.setdefault(kind, {})
    return _INSIDE
