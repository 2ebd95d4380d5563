"""Models whose bytes can be read in more ways than one, and some that have no graph or several."""

from __future__ import annotations

from tests.registry.hostile import Cases, Honest, appended, edited, field

CASES = Cases()


@CASES.raw
def a_second_graph(honest: Honest) -> bytes:
    return appended(honest.mlp, field(2, b""))


@CASES.raw
def a_second_object_graph(honest: Honest) -> bytes:
    return appended(honest.mlp, field(7, b""))


@CASES.raw
def an_asset_that_is_a_constant(honest: Honest) -> bytes:
    made = field(1, field(5, b"") + field(9, field(1, b"Const")))  # after the honest ones
    return appended(
        edited(honest.lookup, lambda m: m.ClearField("object_graph_def")), field(7, made)
    )


@CASES.raw
def an_attribute_of_two_kinds(honest: Honest) -> bytes:
    value = field(10, field(1, b"f")) + field(2, b"x")
    evil = field(1, field(1, b"n") + field(2, b"Relu") + field(5, field(1, b"k") + field(2, value)))
    cleared = edited(honest.mlp, lambda meta: meta.ClearField("graph_def"))
    return appended(cleared, field(2, evil))


@CASES.raw
def an_unknown_field(honest: Honest) -> bytes:
    return appended(honest.mlp, field(99, b"x"))


@CASES.raw
def a_group(honest: Honest) -> bytes:
    return appended(honest.mlp, b"\x9b\x06\x9c\x06")


@CASES.raw
def nested_groups(honest: Honest) -> bytes:
    """100 kB in a map's entry: parsers that recurse run out of stack."""
    entry = field(1, b"k") + b"\x1b" * 50_000 + b"\x1c" * 50_000
    return appended(honest.mlp, field(5, entry))


@CASES.raw
def a_long_number(honest: Honest) -> bytes:
    return honest.mlp.replace(b"\x08\x01", b"\x08\x81\x00", 1)


@CASES.raw
def numbers_that_are_not_packed(honest: Honest) -> bytes:
    concrete = field(2, field(1, b"f") + field(2, b"\x10\x00\x10\x01"))
    cleared = edited(honest.mlp, lambda meta: meta.ClearField("object_graph_def"))
    return appended(cleared, field(7, concrete))


@CASES.raw
def a_map_entry_of_two_values(honest: Honest) -> bytes:
    return appended(honest.mlp, field(5, field(1, b"k") + field(2, b"") + field(2, b"")))


@CASES.raw
def deep_attributes(honest: Honest) -> bytes:
    """A function in an attribute of a function in an attribute, 60 times."""
    value = b""
    for _ in range(60):
        value = field(10, field(1, b"f") + field(2, field(1, b"k") + field(2, value)))
    evil = field(1, field(1, b"n") + field(2, b"Relu") + field(5, field(1, b"k") + field(2, value)))
    cleared = edited(honest.mlp, lambda meta: meta.ClearField("graph_def"))
    return appended(cleared, field(2, evil))


@CASES.raw
def a_text_that_is_none(honest: Honest) -> bytes:
    """In a field that older classes of TensorFlow do not know."""
    cleared = edited(honest.mlp, lambda meta: meta.ClearField("graph_def"))
    return appended(cleared, field(2, field(5, field(1, b"\xff"))))


@CASES.raw
def no_graph(honest: Honest) -> bytes:
    return b"\x08\x01"


@CASES.raw
def two_graphs(honest: Honest) -> bytes:
    return honest.mlp + honest.mlp[2:]
