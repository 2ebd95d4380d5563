"""In which order a function takes the inputs of its signature.

A signature is a map, without an order of its own. TensorFlow 2 wraps a function that is exported in
one that takes the inputs by name and calls the first with them by position; TensorFlow 1 has a
placeholder for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tfspark.registry.program import CALLS, node_of


def in_order(meta: Any, inputs: Mapping[str, str]) -> list[str]:
    """The names of the inputs, in the order of the function's own arguments.

    Args:
        meta: the meta graph.
        inputs: name of an input → its tensor.
    """
    graph = meta.graph_def
    named = {node_of(tensor): name for name, tensor in inputs.items()}
    order = _known(named, (node.name for node in graph.node))
    if (call := _call(graph.node, named)) is not None:
        functions = {f.signature.name: f for f in graph.library.function}
        wrapper = functions.get(call.attr["f"].func.name)
        arguments = wrapper.signature.input_arg if wrapper is not None else ()
        inside = {
            argument.name: named[node_of(tensor)]
            for argument, tensor in zip(arguments, call.input, strict=False)
            if node_of(tensor) in named
        }
        if wrapper is not None and (called := _call(wrapper.node_def, inside)) is not None:
            order = _known(inside, map(node_of, called.input)) + order
    return list(dict.fromkeys([*order, *sorted(inputs)]))


def _call(nodes: Iterable[Any], named: Mapping[str, str]) -> Any:
    """The first call that takes one of the tensors."""
    for node in nodes:
        if node.op in CALLS and any(node_of(tensor) in named for tensor in node.input):
            return node
    return None


def _known(named: Mapping[str, str], names: Iterable[str]) -> list[str]:
    return [named[name] for name in names if name in named]
