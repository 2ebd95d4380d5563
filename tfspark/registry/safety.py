"""Whether a SavedModel may be opened: every op of every graph in it must be on the allow-list.

A SavedModel is a program. Opening one runs its initialisers, scoring runs the rest, so the check
comes before both and reads the file without TensorFlow. What is not known to be harmless is
refused (`allowed_ops.txt`, made by `tfspark.registry.allowlist`). Three ops are looked at closer:

- `SaveV2`, `MergeV2Checkpoints` and `RestoreV2` may stand in what the saver alone reaches;
- `InitializeTableFromTextFileV2` may read an asset of the model, and no other file;
- `PrintV2` may print to the process's own streams, and to no file.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NoReturn

from tfspark import storage
from tfspark.errors import UnsafeModelError
from tfspark.registry.savedmodel import FILE, parse, read_saved_model

_SAVER_OPS = {"SaveV2", "MergeV2Checkpoints", "RestoreV2"}
_TEXT_TABLE = "InitializeTableFromTextFileV2"
_PRINT = "PrintV2"
_STREAMS = (b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)")
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


@cache
def allowed() -> frozenset[str]:
    """The allow-list of the package."""
    text = files("tfspark.registry").joinpath("allowed_ops.txt").read_text()
    return frozenset(text.split())


def check_ops(folder: str) -> None:
    """Refuse a SavedModel that could do more than compute.

    Raises:
        UnsafeModelError: an op that is not allow-listed (op, node and function are named), an
            asset outside the folder, or a second form of the model beside `saved_model.pb`.
    """
    for name in storage.names(folder):
        if name.startswith("saved_model.") and name != FILE:
            raise UnsafeModelError(
                f"model {folder}: {name} stands beside {FILE}, and only {FILE} is checked; "
                f"remove {name}"
            )
    for graph in read_saved_model(folder).meta_graphs:
        if not graph.objects:
            raise UnsafeModelError(
                f"model {folder}: is a TensorFlow 1 model, which runs its main graph when it is "
                "opened; export it again with TensorFlow 2"
            )
        for asset in graph.assets:
            path = posixpath.normpath(asset.filename)
            if path.startswith(("/", "..")) or "://" in asset.filename or "\\" in path:
                raise UnsafeModelError(
                    f"model {folder}: asset {asset.filename!r} is not in the model's folder"
                )
        _Walk(folder, graph).check()


class _Walk:
    """One meta graph: its main graph, its functions, and who calls whom."""

    def __init__(self, folder: str, meta: Any) -> None:
        self.folder, self.meta = folder, meta
        where = storage.join(folder, FILE)
        self.graph = parse("Graph", meta.graph, where)
        self.functions = {f.head.name: f for f in self.graph.library.functions}
        self.objects = parse("ObjectGraph", meta.objects, where)
        self.concrete = {e.key: list(e.value.bound_inputs) for e in self.objects.functions}

    def check(self) -> None:
        known = allowed()
        saver = {self.meta.saver.save.split(":")[0], self.meta.saver.restore} - {""}
        others = [node for node in self.graph.nodes if node.name not in saver]
        # The saver's nodes of the main graph are not run when a TensorFlow 2 model is opened.
        open_to_all = self._reached([*_called(others), *self.concrete])
        saver_only = self._reached(_called(self.graph.nodes)) - open_to_all
        for function, node in self._all_nodes():
            if node.op in known:
                self._functions_exist(node, function)
            elif node.op in _SAVER_OPS and function in saver_only:
                continue
            elif node.op == _TEXT_TABLE:
                self._reads_an_asset(node, function)
            elif node.op == _PRINT:
                streams = [attr.value.s for attr in node.attrs if attr.key == "output_stream"]
                if not all(stream in _STREAMS for stream in streams):
                    self._refuse(node, function, "prints to a file")
            else:
                self._refuse(node, function, "is not allow-listed")

    def _all_nodes(self) -> Iterator[tuple[str, Any]]:
        for node in self.graph.nodes:
            yield "", node
        for name, function in self.functions.items():
            for node in function.nodes:
                yield name, node

    def _reached(self, names: Iterable[str]) -> set[str]:
        reached: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name in self.functions and name not in reached:
                reached.add(name)
                todo += _called(self.functions[name].nodes)
        return reached

    def _functions_exist(self, node: Any, function: str) -> None:
        for name in _named(node):
            if name not in self.functions:
                self._refuse(node, function, f"calls {name}, which the model does not hold")

    def _reads_an_asset(self, node: Any, function: str) -> None:
        argument = self._argument(function, node.inputs[1] if len(node.inputs) > 1 else "")
        if argument is None or not self._is_asset(function, argument, set()):
            self._refuse(node, function, "reads a file that is no asset of the model")

    def _is_asset(self, function: str, argument: int, seen: set[str]) -> bool:
        """Whether everyone who calls the function hands it an asset there."""
        if function in seen:
            return False
        if function in self.concrete:
            # The last arguments are the captured objects.
            bound = self.concrete[function]
            place = argument - (len(self.functions[function].head.args) - len(bound))
            if not 0 <= place < len(bound) or not 0 <= bound[place] < len(self.objects.nodes):
                return False
            if not self.objects.nodes[bound[place]].HasField("asset"):
                return False
        for caller in self.functions:
            for node in self.functions[caller].nodes:
                if function not in _named(node):
                    continue
                if node.op not in _CALLS or argument >= len(node.inputs):
                    return False
                outer = self._argument(caller, node.inputs[argument])
                if outer is None or not self._is_asset(caller, outer, seen | {function}):
                    return False
        return True

    def _argument(self, function: str, tensor: str) -> int | None:
        """The position of the function's argument that a tensor is, looking through Identity."""
        if not function:
            return None
        nodes = {node.name: node for node in self.functions[function].nodes}
        while (node := nodes.get(tensor.split(":")[0])) is not None and node.op == "Identity":
            tensor = node.inputs[0]
        names = [arg.name for arg in self.functions[function].head.args]
        return names.index(tensor) if tensor in names else None

    def _refuse(self, node: Any, function: str, why: str) -> NoReturn:
        place = f"function {function}" if function else "the main graph"
        raise UnsafeModelError(
            f"model {self.folder}: op {node.op} (node {node.name} in {place}) {why}; the model is "
            "not opened: it could do more than compute. Export it without this op"
        )


def _called(nodes: Iterable[Any]) -> list[str]:
    return [name for node in nodes for name in _named(node)]


def _named(node: Any) -> list[str]:
    """The functions that a node's attributes name."""
    funcs = (func for a in node.attrs for func in (a.value.func, *a.value.items.funcs))
    return [func.name for func in funcs if func.name]
