"""Whether a SavedModel may be opened: every op of every graph in it must be on the allow-list.

A SavedModel is a program. Opening one runs its initialisers, scoring runs the rest, so the check
comes before both and reads the file without TensorFlow. What is not known to be harmless is
refused (`allowed_ops.txt`, made by `tfspark.registry.allowlist`), and so is what the check cannot
follow. Ops that are looked at closer:

- `SaveV2`, `MergeV2Checkpoints` may stand in what the saver's call to save alone reaches, and in
  the main graph where nothing that is run reaches them: TensorFlow 1 saves there;
- `RestoreV2` in what its call to restore alone reaches, with the file that the saver is given;
- `InitializeTableFromTextFileV2` may read an asset of the model, and no other file. TensorFlow 1
  has the path of an asset as a constant, in place of which the real one is fed when the model is
  opened: there it may stand in what initialises the model, and in nothing else;
- `PrintV2` may print to the process's own streams, and to no file.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, NoReturn

from tfspark import storage
from tfspark.errors import UnsafeModelError
from tfspark.registry.assets import Assets, is_inside
from tfspark.registry.entry import INIT_OP, assets, init_ops, serving, tensors
from tfspark.registry.program import (
    CALLS,
    Graph,
    Program,
    ancestors,
    attributes,
    funcs,
    named,
    node_of,
)
from tfspark.registry.savedmodel import FILE, parse
from tfspark.wording import say

_SAVE = {"SaveV2", "MergeV2Checkpoints"}
_RESTORE = "RestoreV2"
_TEXT_TABLES = {"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"}
_PRINT = "PrintV2"
_STREAMS = (b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)")
_LOOKED_AT = {*_SAVE, *_TEXT_TABLES, _RESTORE, _PRINT}
_INTERNAL = re.compile("_[A-Z][A-Za-z0-9]*")
"""Ops that TensorFlow puts into a graph by itself; no exporter names a function so."""
_INPUTS = {"Placeholder", "PlaceholderWithDefault"}
_FED = {*_INPUTS, "Const"}
# A resource or a variant that is read from bytes may be anybody's.
_HANDLES = {20, 21, 120, 121}
_READ_BYTES = {"ParseTensor", "DeserializeSparse", "DeserializeManySparse", _RESTORE}


@cache
def allowed() -> frozenset[str]:
    """The allow-list of the package."""
    text = files("tfspark.registry").joinpath("allowed_ops.txt").read_text()
    return frozenset(text.split())


def check_ops(folder: str, tensorflow: bool = False) -> Any:
    """Refuse a SavedModel that could do more than compute.

    Args:
        tensorflow: look at it with TensorFlow's own classes as well, where TensorFlow is there.

    Returns:
        The meta graph that is served.

    Raises:
        IntegrityError: the file is cut off, no SavedModel, or can be read in two ways.
        UnsafeModelError: an op that is not allow-listed (op, node and function are named), an
            asset outside the folder, or a second form of the model beside `saved_model.pb`.
    """
    for name in storage.names(folder):
        if name.startswith("saved_model.") and name != FILE:
            raise UnsafeModelError(say("second_form", folder=folder, name=name, file=FILE))
    path = storage.join(folder, FILE)
    content = storage.read_bytes(path)
    meta = _check(folder, parse(content, path))
    if tensorflow:
        from tensorflow.core.protobuf import saved_model_pb2

        _check(folder, saved_model_pb2.SavedModel.FromString(content))
    return meta


def _check(folder: str, model: Any) -> Any:
    meta = serving(model.meta_graphs, folder)
    for asset in assets(meta, folder):
        if not is_inside(asset.filename):
            raise UnsafeModelError(say("asset_outside", folder=folder, asset=asset.filename))
    _Check(folder, meta).run()
    return meta


class _Check:
    """The rules for one meta graph."""

    def __init__(self, folder: str, meta: Any) -> None:
        self.folder, self.meta = folder, meta
        self._names_are_clear()
        self.program = Program(meta)
        self.assets = Assets(meta, self.program, assets(meta, folder))
        self.init = {op for ops in init_ops(meta, folder) for op in ops}
        self._runs()
        self.filename = node_of(meta.saver_def.filename_tensor_name)
        self.restored: set[tuple[str, int]] = set()

    def run(self) -> None:
        program = self.program
        save, restore = self._saver()
        # The saver's calls are run by nobody but TensorFlow, which tells them the file.
        others = [node for node in program.main.listed if node.name not in (save, restore)]
        called = [name for node in others for name in named(node)]
        by_others = program.reached([*called, *program.objects, *program.elsewhere])
        by_save = program.reached(program.called_by(save))
        by_restore = program.reached(program.called_by(restore))
        self.saves = by_save - by_restore - by_others
        self.restores = by_restore - by_save - by_others
        for graph in program.graphs():
            for node in graph.listed:
                self._op(graph, node)
                self._attributes(graph, node)
        self._inputs()

    def _runs(self) -> None:
        """The nodes of the main graph that are run: to score, to initialise, to restore."""
        main, signatures = self.program.main, self.meta.signature_def
        infos = [
            info
            for name, signature in signatures.items()
            if name != INIT_OP
            for info in (*signature.outputs.values(), *signature.inputs.values())
        ]
        self.scores = ancestors(main, (node_of(t) for info in infos for t in tensors(info)))
        self.begins = ancestors(main, self.init)
        self.reads = ancestors(main, [node_of(self.meta.saver_def.restore_op_name)])

    def _names_are_clear(self) -> None:
        """Whether every name means one thing: TensorFlow looks up ops and functions by name."""
        known = allowed() | _LOOKED_AT
        library, seen = self.meta.graph_def.library, set()
        for function in library.function:
            name = function.signature.name
            if name in known or _INTERNAL.fullmatch(name):
                self._refuse_function(name, "function_is_op")
            if name in seen:
                self._refuse_function(name, "function_twice")
            seen.add(name)
            args = function.signature.input_arg
            if any(arg.number_attr or arg.type_list_attr for arg in args):
                self._refuse_function(name, "function_arguments")
            self._nodes_are_clear(name, function.node_def, [arg.name for arg in args])
        self._nodes_are_clear("", self.meta.graph_def.node, [])

    def _nodes_are_clear(self, graph: str, nodes: Any, names: list[str]) -> None:
        seen = set(names)
        if len(seen) < len(names):
            self._refuse_function(graph, "function_arguments")
        for node in nodes:
            if node.name in seen:
                self._refuse(graph, node, "op_twice")
            seen.add(node.name)

    def _saver(self) -> tuple[str, str]:
        """The calls by which TensorFlow saves and restores, where nothing else runs them."""
        saver = self.meta.saver_def
        used = {node_of(i.removeprefix("^")) for n in self.program.main.listed for i in n.input}
        for signature in self.meta.signature_def.values():
            for info in (*signature.inputs.values(), *signature.outputs.values()):
                used |= {node_of(tensor) for tensor in tensors(info)}
        for collection in self.meta.collection_def.values():
            used |= {node_of(tensor) for tensor in collection.node_list.value}
        used.update(self.init)
        names = [node_of(saver.save_tensor_name), saver.restore_op_name]
        calls = [name if name not in used and self._is_call(name) else "" for name in names]
        return ("", "") if names[0] == names[1] else (calls[0], calls[1])

    def _is_call(self, name: str) -> bool:
        """Whether the node of that name calls a function and names no other."""
        node = self.program.main.nodes.get(name)
        if node is None or node.op not in CALLS or "f" not in node.attr:
            return False
        return named(node) == [node.attr["f"].func.name]

    def _op(self, graph: Graph, node: Any) -> None:
        if node.op in allowed():
            return
        if node.op in _SAVE:
            if not self._is_saver(graph, node):
                self._refuse(graph.name, node, "op_unlisted")
        elif node.op == _RESTORE:
            if graph.name not in self.restores and not self._is_main_restore(graph, node):
                self._refuse(graph.name, node, "op_unlisted")
            if not self._is_restored(graph, node):
                self._refuse(graph.name, node, "op_no_checkpoint")
        elif node.op in _TEXT_TABLES:
            if not self._is_asset(graph, node):
                self._refuse(graph.name, node, "op_no_asset")
        elif node.op == _PRINT:
            if "output_stream" in node.attr and node.attr["output_stream"].s not in _STREAMS:
                self._refuse(graph.name, node, "op_prints")
        else:
            self._refuse(graph.name, node, "op_unlisted")

    def _is_saver(self, graph: Graph, node: Any) -> bool:
        """Whether saving alone runs a node."""
        if graph is self.program.main:
            return not self._is_run(node.name, self.scores, self.begins, self.reads)
        return graph.name in self.saves

    @staticmethod
    def _is_run(name: str, *parts: set[str]) -> bool:
        return any(name in part for part in parts)

    def _is_main_restore(self, graph: Graph, node: Any) -> bool:
        main = graph is self.program.main
        return main and not self._is_run(node.name, self.scores, self.begins)

    def _is_restored(self, graph: Graph, node: Any) -> bool:
        """Whether a file that is read is the one that TensorFlow tells the saver."""
        file = node.input[0] if node.input else ""
        if graph is self.program.main:
            return node.name not in self.reads or self._is_fed(graph, file, {self.filename})
        return self.program.comes_from(graph, file, self._is_filename, _nothing, self.restored)

    def _is_filename(self, tensor: str) -> bool:
        node = self.program.main.nodes.get(node_of(tensor))
        return node is not None and node.op == "Placeholder" and node.name == self.filename

    def _is_asset(self, graph: Graph, node: Any) -> bool:
        """Whether a file that fills a table is an asset."""
        file = node.input[1] if len(node.input) > 1 else ""
        if self.assets.has(graph, file):
            return True
        main = graph is self.program.main
        if not main or self._is_run(node.name, self.scores, self.reads):
            return False  # nobody would feed the path
        return self._is_fed(graph, file, self.assets.placeholders)

    def _is_fed(self, graph: Graph, tensor: str, names: set[str]) -> bool:
        """Whether a tensor is that of one of these nodes, which have one, and is fed."""
        node = graph.nodes.get(node_of(graph.source(tensor)))
        return node is not None and node.name in names and node.op in _FED

    def _is_read(self, node: Any, tensor: str) -> bool:
        """Whether a tensor that is no input is one that says which file is read."""
        return node.op not in _INPUTS and self.assets.is_path(self.program.main.source(tensor))

    def _attributes(self, graph: Graph, node: Any) -> None:
        for key, value in attributes(node):
            kind = value.WhichOneof("value")
            inner = [inside for func in funcs(value) for inside in func.attr.values()]
            if any(map(_names_more, inner)) or kind == "placeholder":
                self._refuse(graph.name, node, "op_attribute", name=key)
            types = [tensor.dtype for tensor in _all(value, "tensor")]
            if node.op in _READ_BYTES:
                types += _all(value, "type")
            if not _HANDLES.isdisjoint(types):
                self._refuse(graph.name, node, "op_resource")
            for func in funcs(value):
                if func.name and func.name not in self.program.functions:
                    self._refuse(graph.name, node, "op_no_function", name=func.name)

    def _inputs(self) -> None:
        """What a caller feeds is made to be fed: an input, and no file's name."""
        files, nodes = self.assets.placeholders | {self.filename}, self.program.main.nodes
        for name, signature in sorted(self.meta.signature_def.items()):
            for key, info in sorted(signature.inputs.items()):
                for tensor in tensors(info):
                    node = nodes.get(node_of(tensor))
                    if node is None or node.name in files or self._is_read(node, tensor):
                        said = {"signature": name, "input": key, "tensor": tensor}
                        raise UnsafeModelError(say("unsafe_input", folder=self.folder, **said))

    def _refuse(self, graph: str, node: Any, why: str, **said: str) -> NoReturn:
        place = f"function {graph}" if graph else "the main graph"
        what = {"op": node.op, "node": node.name, "place": place, "why": say(why, **said)}
        raise UnsafeModelError(say("unsafe_op", folder=self.folder, **what))

    def _refuse_function(self, name: str, why: str) -> NoReturn:
        text = say("unsafe_function", folder=self.folder, function=name, why=say(why))
        raise UnsafeModelError(text)


def _nothing(function: str, place: int) -> bool:
    return False


def _names_more(value: Any) -> bool:
    return value.WhichOneof("value") == "placeholder" or len(list(funcs(value))) > 0


def _all(value: Any, what: str) -> list[Any]:
    """The tensors or the types of an attribute."""
    kind = value.WhichOneof("value")
    if kind == "list":
        return list(getattr(value.list, what))
    return [getattr(value, what)] if kind == what else []
