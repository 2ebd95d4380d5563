"""The layers of a SavedModel, by the names of its nodes: read without TensorFlow."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tfspark.look.view import Box
from tfspark.registry.program import Graph, Program, named, node_of

_IDLE = {"Const", "Identity", "NoOp", "ReadVariableOp", "Placeholder", "IdentityN"}
_MOST_WIDE, _MOST_HIGH = 5, 40


def layers(meta: Any, signature: str) -> list[Box]:
    """Boxes in rows: inputs first, outputs last. Beyond a few of a row the rest is one box."""
    program = Program(meta)
    asked = meta.signature_def[signature]
    main, ends = program.main, [node_of(one.name) for one in asked.outputs.values()]
    called = [n for end in ends if end in main.nodes for n in named(main.nodes[end])]
    graphs = [program.functions[name] for name in program.reached(called)]
    graph = max(graphs or [main], key=lambda g: len(_names(g)))
    groups = _groups(graph)
    before: dict[str, set[str]] = {group: set() for group in groups.values()}
    ops: dict[str, Counter[str]] = {group: Counter() for group in groups.values()}
    inputs: dict[str, set[str]] = {}
    for node in graph.listed:
        if (group := groups.get(node.name)) is None:
            continue
        if node.op not in _IDLE:
            ops[group][node.op] += 1
        for source in map(node_of, node.input):
            other = groups.get(source)
            if other is not None and other != group:
                before[group].add(other)
            elif source in graph.args and source in _columns(graph, asked):
                inputs.setdefault(group, set()).add(source)
    kept = {group for group in before if sum(ops[group].values())}
    return _rows({g: before[g] & kept for g in before if g in kept}, ops, inputs)


def _columns(graph: Graph, asked: Any) -> set[str]:
    plain = {re.sub(r"\W", "_", name).lower() for name in asked.inputs}
    return {arg for arg in graph.args if arg.lower() in plain}


def _names(graph: Graph) -> set[str]:
    return set(_groups(graph).values())


def _groups(graph: Graph) -> dict[str, str]:
    """Node → its layer: the first part of its name that not all have."""
    paths = {node.name: node.name.split("/") for node in graph.listed}
    deep = [path for path in paths.values() if len(path) > 1]
    if not deep:
        return {}
    heads = Counter(path[0] for path in deep)
    head, count = heads.most_common(1)[0]
    skip = 1 if count > 0.6 * len(deep) and any(len(p) > 2 for p in deep if p[0] == head) else 0
    return {
        name: re.sub(r"_\d+$", "", path[skip if path[0] == head else 0])
        for name, path in paths.items()
        if len(path) > (1 + skip if path[0] == head else 1)
        or (len(path) == 1 + skip and skip and path[0] == head)
    }


def _rows(
    before: dict[str, set[str]], ops: dict[str, Counter[str]], inputs: dict[str, set[str]]
) -> list[Box]:
    """Each layer below all that it reads."""
    rank: dict[str, int] = {}
    for _ in range(len(before)):  # as many times as the longest way has steps
        found = {g: max((rank.get(o, 0) + 1 for o in b), default=1) for g, b in before.items()}
        if found == rank or max(found.values(), default=0) > len(before):
            break
        rank = found
    rank = {group: min(depth, _MOST_HIGH) for group, depth in rank.items()}
    columns = sorted({name for some in inputs.values() for name in some})
    rows: dict[int, list[str]] = {0: columns} if columns else {}
    for group, depth in rank.items():
        rows.setdefault(depth, []).append(group)
    at: dict[tuple[int, str], tuple[int, int]] = {}
    for number, depth in enumerate(sorted(rows)):
        for place, name in enumerate(rows[depth]):
            at[depth, name] = (number, min(place, _MOST_WIDE))
    to: dict[tuple[int, str], set[tuple[int, int]]] = {key: set() for key in at}
    for group, others in before.items():
        for other in others:
            to[rank[other], other].add(at[rank[group], group])
        for column in inputs.get(group, ()):
            to[0, column].add(at[rank[group], group])
    boxes = []
    for depth, names in rows.items():
        for name in names[:_MOST_WIDE]:
            about = "input" if not depth else ", ".join(o for o, _ in ops[name].most_common(3))
            boxes.append(Box(name, about, at[depth, name], sorted(to[depth, name])))
        if rest := names[_MOST_WIDE:]:
            ends = sorted({end for name in rest for end in to[depth, name]})
            boxes.append(Box(f"and {len(rest)} more", "", at[depth, rest[0]], ends))
    return sorted(boxes, key=lambda box: box.at)
