"""The graphs of a SavedModel: who calls whom, and where a tensor comes from.

All of it takes time and memory in proportion to the file, whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


class Graph:
    """The main graph (its name is "") or a function.

    Attributes:
        listed: its nodes, in order.
        nodes: name → node.
        args: name → position, of a function's arguments.
    """

    def __init__(self, name: str, nodes: Any, args: Iterable[str] = ()) -> None:
        self.name, self.listed = name, nodes
        self.nodes = {node.name: node for node in nodes}
        self.args = {arg: place for place, arg in enumerate(args)}
        self._sources: dict[str, str] = {}

    def source(self, tensor: str) -> str:
        """What a tensor is, looking through Identity; itself where that leads nowhere."""
        way: dict[str, None] = {}
        while tensor not in way and tensor not in self._sources:
            way[tensor] = None
            node = self.nodes.get(node_of(tensor))
            if node is None or node.op != "Identity" or not node.input:
                break
            tensor = node.input[0]
        tensor = self._sources.get(tensor, tensor)
        self._sources |= dict.fromkeys(way, tensor)
        return tensor


class Program:
    """One meta graph: its main graph, its functions, and who calls whom.

    Attributes:
        graphs: the main graph, then the functions in their order.
        callers: function → the nodes that name it, with their graphs.
        bound: function → the objects that are its last arguments, where an object calls it.
        objects: functions that an object names.
        elsewhere: functions that are called where nothing says with what.
    """

    def __init__(self, meta: Any) -> None:
        library, objects = meta.graph_def.library, meta.object_graph_def
        self.main = Graph("", meta.graph_def.node)
        self.functions = {
            f.signature.name: Graph(
                f.signature.name, f.node_def, (arg.name for arg in f.signature.input_arg)
            )
            for f in library.function
        }
        self.callers: dict[str, list[tuple[Graph, Any]]] = {}
        self._called: dict[str, list[str]] = {}
        for graph in self.graphs():
            called = self._called[graph.name] = []
            for node in graph.listed:
                for name in named(node):
                    called.append(name)
                    self.callers.setdefault(name, []).append((graph, node))
        self.bound = {
            name: list(entry.bound_inputs) for name, entry in objects.concrete_functions.items()
        }
        self.objects = {*self.bound, *_named_by_objects(objects)}
        self.elsewhere = {
            *(name for g in library.gradient for name in (g.function_name, g.gradient_func)),
            *(gradient.gradient_func for gradient in library.registered_gradients),
            # Grappler puts one function of an interface in place of another.
            *(
                f.signature.name
                for f in library.function
                if any(key.endswith("implements") for key in f.attr)
            ),
        }

    def graphs(self) -> Iterator[Graph]:
        yield self.main
        yield from self.functions.values()

    def called_by(self, node: str) -> list[str]:
        """The functions that a node of the main graph names; none if there is no such node."""
        return named(self.main.nodes[node]) if node else []

    def reached(self, names: Iterable[str]) -> set[str]:
        """The functions of these names, and those that they call."""
        reached: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name in self.functions and name not in reached:
                reached.add(name)
                todo += self._called[name]
        return reached

    def comes_from(
        self,
        graph: Graph,
        tensor: str,
        known: Callable[[str], bool],
        captured: Callable[[str, int], bool],
        proven: set[tuple[str, int]],
    ) -> bool:
        """Whether a tensor is, on every way into its graph, one that is known; there is a way.

        Args:
            known: of a tensor of the main graph.
            captured: of a function that others than nodes call, and the position of an argument.
            proven: arguments that are known; those found here are added.
        """
        todo, seen, ends = [(graph, tensor)], set[tuple[str, int]](), False
        while todo:
            graph, tensor = todo.pop()
            tensor = graph.source(tensor)
            if graph is self.main:
                if not known(tensor):
                    return False
                ends = True
                continue
            if tensor not in graph.args:
                return False
            name, place = graph.name, graph.args[tensor]
            if (name, place) in proven:
                ends = True
                continue
            if (name, place) in seen:
                continue
            seen.add((name, place))
            if name in self.objects or name in self.elsewhere:
                if not captured(name, place):
                    return False
                ends = True
            for caller, node in self.callers.get(name, ()):
                if node.op not in CALLS or place >= len(node.input):
                    return False
                todo.append((caller, node.input[place]))
        if ends:
            proven |= seen
        return ends


def ancestors(graph: Graph, roots: Iterable[str]) -> set[str]:
    """The nodes of these names and all that they stand on."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name in graph.nodes and name not in found:
            found.add(name)
            todo += [node_of(tensor.removeprefix("^")) for tensor in graph.nodes[name].input]
    return found


def node_of(tensor: str) -> str:
    """The node whose output a tensor is."""
    return tensor.split(":")[0]


def named(node: Any) -> list[str]:
    """The functions that a node's attributes name."""
    return [func.name for _, value in attributes(node) for func in funcs(value) if func.name]


def attributes(node: Any) -> list[tuple[str, Any]]:
    return sorted(node.attr.items(), key=lambda item: str(item[0]))


def funcs(value: Any) -> Iterable[Any]:
    """The functions of an attribute."""
    kind = value.WhichOneof("value")
    if kind == "func":
        return (value.func,)
    return value.list.func if kind == "list" else ()


def _named_by_objects(objects: Any) -> Iterator[str]:
    for node in objects.nodes:
        kind = node.WhichOneof("kind")
        if kind == "function":
            yield from node.function.concrete_functions
        elif kind == "bare_concrete_function":
            yield node.bare_concrete_function.concrete_function_name
        elif kind == "captured_tensor":
            yield node.captured_tensor.concrete_function
