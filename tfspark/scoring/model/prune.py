"""A SavedModel's graph without what one signature does not need.

Kept are the nodes that the signature's outputs stand on, those that initialise tables, and the
functions that all of these call. Variables that nobody reads then, such as an optimizer's slots,
are not read from disk: the restore op is replaced by one of the other variables. The Scala module
does the same (`Prune.scala`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tfspark.registry.entry import assets, init_ops, tensors
from tfspark.registry.program import CALLS, Program, ancestors, node_of

_VARIABLES = {"VarHandleOp", "Variable", "VariableV2"}
_PASSED = {"NoOp", "Identity", "Const", "RestoreV2", "Placeholder", "PlaceholderWithDefault"}
_OWN = "tfspark_restore"
_TEXT = 7  # TensorFlow's number of the dtype
_PLACE = re.compile(r":([0-9]{1,9})\Z")


@dataclass(frozen=True)
class Pruned:
    """A graph, and what to run once before it is used.

    Attributes:
        graph: a `GraphDef`.
        restore: op that restores the variables; "" where there are none.
        filename: tensor that is fed with the variables' path then.
        init: ops that initialise the rest.
        assets: tensor that is fed with an asset's path then → name of the asset.
    """

    graph: Any
    restore: str
    filename: str
    init: list[str]
    assets: dict[str, str]


class _Saved(NamedTuple):
    """A variable in the checkpoint: its node, and where its value is."""

    variable: str
    key: bytes
    part: bytes
    dtype: int


def pruned(meta: Any, signature: str, folder: str = "") -> Pruned:
    """What of a meta graph (TensorFlow's own class) a signature needs."""
    import tensorflow as tf

    program = Program(meta)
    main = program.main
    asked = meta.signature_def[signature]
    infos = (*asked.outputs.values(), *asked.inputs.values())
    init = init_ops(meta, folder)[0]
    fed = {a.tensor_info.name: a.filename for a in assets(meta, folder)}
    roots = [*(node_of(t) for info in infos for t in tensors(info)), *init, *map(node_of, fed)]
    kept = ancestors(main, roots)

    saver, saved = meta.saver_def, _saved(meta, program)
    restore, filename = saver.restore_op_name, saver.filename_tensor_name
    added: list[Any] = []
    if saved is None:
        kept |= ancestors(main, [restore, node_of(filename)])
    else:
        needed = [one for one in saved if one.variable in kept]
        added, restore, filename = _restoring(needed, main.nodes), "", ""
        if needed:
            restore, filename = _OWN, f"{_OWN}/file:0"

    graph = tf.compat.v1.GraphDef(versions=meta.graph_def.versions)
    graph.node.extend(node for node in main.listed if node.name in kept)
    for node in graph.node:
        _plain(node, kept)
    graph.node.extend(added)
    called = program.reached(name for node in kept for name in program.called_by(node))
    functions = meta.graph_def.library.function
    graph.library.function.extend(f for f in functions if f.signature.name in called)
    return Pruned(graph, restore, filename, init, fed)


def _plain(node: Any, kept: set[str]) -> None:
    """Without the devices that it was trained on, and without places beside nodes that are gone."""
    node.device = ""
    if "_class" in node.attr:
        places = node.attr["_class"].list.s
        stay = [p for p in places if p.removeprefix(b"loc:@").decode(errors="replace") in kept]
        places[:] = stay
        if not stay:
            del node.attr["_class"]


def _restoring(needed: list[_Saved], nodes: dict[str, Any]) -> list[Any]:
    """Nodes that put values of a checkpoint into variables."""
    import tensorflow as tf

    v1 = tf.compat.v1
    value = v1.AttrValue
    made: list[Any] = []

    def node(name: str, op: str, *inputs: str, **attrs: Any) -> str:
        made.append(v1.NodeDef(name=name, op=op, input=inputs, attr=attrs))
        return name

    def texts(name: str, given: Iterable[bytes]) -> str:
        tensor = tf.make_tensor_proto(list(given), tf.string)
        return node(name, "Const", dtype=value(type=_TEXT), value=value(tensor=tensor))

    if not needed:
        return []
    file = node(f"{_OWN}/file", "Placeholder", dtype=value(type=_TEXT))
    keys = texts(f"{_OWN}/keys", (one.key for one in needed))
    parts = texts(f"{_OWN}/parts", (one.part for one in needed))
    types = value(list=value.ListValue(type=[one.dtype for one in needed]))
    values = node(f"{_OWN}/values", "RestoreV2", file, keys, parts, dtypes=types)
    puts = []
    for place, one in enumerate(needed):
        resource = nodes[one.variable].op == "VarHandleOp"
        op, kind = ("AssignVariableOp", "dtype") if resource else ("Assign", "T")
        given = (one.variable, f"{values}:{place}")
        puts.append(node(f"{_OWN}/put_{place}", op, *given, **{kind: value(type=one.dtype)}))
    node(_OWN, "NoOp", *(f"^{put}" for put in puts))
    return made


def _saved(meta: Any, program: Program) -> list[_Saved] | None:
    """Which variable gets which part of the checkpoint; None where restoring does more."""
    main, restore = program.main, meta.saver_def.restore_op_name
    if not restore:
        return []
    found: list[_Saved] = []
    reached = ancestors(main, [restore])
    for node in main.listed:
        if node.name not in reached:
            continue
        if node.op in CALLS and node.name == restore:
            function = program.functions.get(node.attr["f"].func.name) if "f" in node.attr else None
            if function is None:
                return None
            arguments = [given for given in node.input if not given.startswith("^")]
            known = dict(zip(function.args, arguments, strict=False))

            def outside(tensor: str, known: dict[str, str] = known) -> str:
                return known.get(tensor, "")

            taken = _assigned(function.nodes, function.listed, function.source, outside, program)
        else:
            taken = _assigned(main.nodes, [node], main.source, str, program)
        if taken is None:
            return None
        found += taken
    variables = [one.variable for one in found]
    return found if len(set(variables)) == len(variables) else None


def _assigned(
    nodes: dict[str, Any],
    listed: Iterable[Any],
    source: Callable[[str], str],
    outside: Callable[[str], str],
    program: Program,
) -> list[_Saved] | None:
    """The same of nodes of one graph; `outside` is what its tensor is in the main graph."""
    found = []
    for node in listed:
        if node.op not in ("Assign", "AssignVariableOp"):
            if node.op not in _PASSED | _VARIABLES:
                return None
            continue
        if len(node.input) < 2:
            return None
        variable = program.main.nodes.get(node_of(program.main.source(outside(node.input[0]))))
        one = _restored(nodes, source(node.input[1]), source)
        if variable is None or variable.op not in _VARIABLES or one is None:
            return None
        found.append(_Saved(variable.name, *one))
    return found


def _restored(
    nodes: dict[str, Any], value: str, source: Callable[[str], str]
) -> tuple[bytes, bytes, int] | None:
    """Where in the checkpoint a value is, and its dtype; None if it is not from there."""
    node = nodes.get(node_of(value))
    place = _PLACE.search(value)
    if node is None or node.op != "RestoreV2" or (":" in value and place is None):
        return None
    at = int(place[1]) if place else 0
    types = node.attr["dtypes"].list.type
    lists = [*node.input[1:3], "", ""][:2]
    key, part = (_text(nodes.get(node_of(source(given))), at) for given in lists)
    if key is None or part is None or at >= len(types):
        return None
    return key, part, types[at]


def _text(node: Any, at: int) -> bytes | None:
    """One of a constant list of texts; the last one stands for all that follow."""
    if node is None or node.op != "Const":
        return None
    tensor = node.attr["value"].tensor
    sizes = [dim.size for dim in tensor.tensor_shape.dim]
    texts = tensor.string_val
    if tensor.dtype != _TEXT or tensor.tensor_content or len(sizes) != 1 or at >= sizes[0]:
        return None
    return bytes(texts[min(at, len(texts) - 1)]) if texts else b""
