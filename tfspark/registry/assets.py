"""The files that a SavedModel brings along, and which tensors are their paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tfspark.registry.program import Graph, Program, node_of

_VARIABLE = "VarHandleOp"


class Assets:
    """The assets of one meta graph.

    Attributes:
        placeholders: the nodes that TensorFlow feeds with the paths.
    """

    def __init__(self, meta: Any, program: Program, assets: Sequence[Any]) -> None:
        self.program, self.objects = program, meta.object_graph_def.nodes
        self.count = len(assets)
        self.placeholders = {node_of(asset.tensor_info.name) for asset in assets}
        self.proven: set[tuple[str, int]] = set()
        self.variables: dict[str, bool] = {}
        self._users: dict[str, list[Any]] = {}
        for node in program.main.listed:
            for tensor in node.input:
                self._users.setdefault(node_of(tensor), []).append(node)
        named = (_variable(node) for node in program.main.listed if node.op == _VARIABLE)
        self._variables = Counter(named)
        self._in_functions = any(
            node.op == _VARIABLE for graph in program.functions.values() for node in graph.listed
        )

    def has(self, graph: Graph, tensor: str) -> bool:
        """Whether a tensor is the path of an asset, whoever calls the graph."""
        return self.program.comes_from(graph, tensor, self.is_path, self._is_captured, self.proven)

    def _is_captured(self, function: str, argument: int) -> bool:
        """Whether the object that calls the function hands it an asset there."""
        program, bound = self.program, self.program.bound.get(function)
        if bound is None or function in program.elsewhere:
            return False
        # The last arguments are the captured objects.
        place = argument - (len(program.functions[function].args) - len(bound))
        if not 0 <= place < len(bound) or not 0 <= bound[place] < len(self.objects):
            return False
        captured = self.objects[bound[place]]
        index = captured.asset.asset_file_def_index
        return captured.WhichOneof("kind") == "asset" and bool(0 <= index < self.count)

    def is_path(self, tensor: str) -> bool:
        """Of the main graph: a placeholder that TensorFlow feeds, or a variable that holds one."""
        node = self.program.main.nodes.get(node_of(tensor))
        if node is not None and node.op == "ReadVariableOp" and node.input:
            handle = node_of(node.input[0])
            if handle not in self.variables:
                self.variables[handle] = self._holds_a_path(handle)
            return self.variables[handle]
        return self._is_fed(tensor)

    def _is_fed(self, tensor: str) -> bool:
        node = self.program.main.nodes.get(node_of(tensor))
        return node is not None and node.op == "Placeholder" and node.name in self.placeholders

    def _holds_a_path(self, handle: str) -> bool:
        """Whether nothing but the path of an asset is ever put into a variable."""
        variable = self.program.main.nodes.get(handle)
        if variable is None or variable.op != _VARIABLE:
            return False
        # Variables are found by name, so one name must be one node.
        one = self._variables[_variable(variable)] == 1 and not self._in_functions
        return one and all(self._leaves_it(node, handle) for node in self._users[handle])

    def _leaves_it(self, node: Any, handle: str) -> bool:
        """Whether a node only reads the variable, or puts the path of an asset into it."""
        if node.op == "AssignVariableOp" and len(node.input) > 1:
            return node_of(node.input[1]) != handle and self._is_fed(
                self.program.main.source(node.input[1])
            )
        return node.op in ("ReadVariableOp", "VarIsInitializedOp")


def is_inside(name: str) -> bool:
    """Whether the name of an asset is a file in the model's folder."""
    outside = name.startswith("/") or "://" in name or "\\" in name or "\0" in name
    return bool(name) and not outside and ".." not in name.split("/")


def _variable(node: Any) -> bytes:
    shared = node.attr["shared_name"].s if "shared_name" in node.attr else b""
    return bytes(shared) or str(node.name).encode()
