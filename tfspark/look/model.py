"""A model: what it takes and gives, its layers, its size, what it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tfspark import storage
from tfspark.errors import IntegrityError, SignatureError, UnsafeModelError
from tfspark.look.layers import layers
from tfspark.look.view import Section, View
from tfspark.page.words import cut, number, part, parts
from tfspark.quality.slices import slice_name
from tfspark.registry.entry import assets, serving
from tfspark.registry.manifest import read_manifest, verify
from tfspark.registry.place import saved_model
from tfspark.registry.program import Program
from tfspark.registry.resolve import is_uri
from tfspark.registry.safety import check_ops
from tfspark.registry.savedmodel import FILE, parse
from tfspark.registry.signature import DEFAULT, read_signature


def find(thing: str) -> bool:
    """Whether it names a model."""
    if is_uri(thing):
        return True
    return storage.is_dir(thing) and storage.exists(storage.join(_newest(thing), FILE))


def _newest(folder: str) -> str:
    """The folder, or of TensorFlow Serving's layout the newest version in it."""
    inside = sorted((name for name in storage.names(folder) if name.isdigit()), key=int)
    if inside and not storage.exists(storage.join(folder, FILE)):
        return storage.join(folder, inside[-1])
    return folder


def view(model: str, tracking_uri: str | None) -> View:
    """What its files say; nothing of it is opened by TensorFlow."""
    path, name, version = model, "", ""
    if is_uri(model):
        from tfspark.registry.download import download

        path, name, version, *_ = download(model, tracking_uri)
    else:
        path = _newest(model)
    path = storage.absolute(saved_model(path, model))
    manifest = read_manifest(path) or {}
    where = storage.join(path, FILE)
    meta = serving(parse(storage.read_bytes(where), where).meta_graphs, path)
    sizes = dict(storage.files(path))
    weights = sum(size for file, size in sizes.items() if file.startswith("variables/"))
    listed = [one.filename for one in assets(meta, path)]
    about = [
        ("made with", f"TensorFlow {meta.meta_info_def.tensorflow_version or '(not said)'}"),
        ("bytes", f"{sum(sizes.values()):,}, of which variables {weights:,}"),
        ("assets", ", ".join(listed)),
        ("may be opened", _checked(path, manifest)),
        ("dataset", cut(part(manifest.get("dataset")).get("path"), 200)),
        ("run", cut(manifest.get("run_id"))),
        ("digest", cut(manifest.get("digest"))),
    ]
    made = [Section("Model", facts=[one for one in about if one[1]])]
    made += _signatures(path, meta, manifest)
    try:
        boxes = layers(meta, str(manifest.get("signature") or DEFAULT))
    except KeyError:  # it has another signature alone
        boxes = []
    if boxes:
        made.append(Section("Layers", "by the names of its nodes", boxes=boxes))
    made += [*_metrics(manifest), *_parts(manifest)]
    ops = Counter(node.op for graph in Program(meta).graphs() for node in graph.listed)
    rows = [[op, number(count)] for op, count in ops.most_common(100)]
    made.append(Section("Ops", f"{len(ops)} kinds", head=("op", "nodes"), rows=rows))
    named = name or cut(manifest.get("name")) or path.rstrip("/").rpartition("/")[2]
    title = f"{named} {version or cut(manifest.get('version'))}"
    return View(title.strip(), path, made)


def _checked(path: str, manifest: dict[str, Any]) -> str:
    try:
        if manifest:
            verify(path, manifest)
        check_ops(path)
    except (UnsafeModelError, IntegrityError) as error:
        return f"no: {error}"
    return (
        "yes" if manifest else "yes; it has no manifest, so nothing says that its files are whole"
    )


def _signatures(path: str, meta: Any, manifest: Mapping[str, Any]) -> list[Section]:
    made = []
    needs = part(manifest.get("inputs"))
    for name in sorted(meta.signature_def):
        if name.startswith("__"):
            continue
        try:
            found = read_signature(path, name, meta)
        except SignatureError as error:
            made.append(Section(f"Signature {name}", str(error)))
            continue
        rows = []
        for kind, specs in (("takes", found.inputs), ("gives", found.outputs)):
            for column, spec in specs.items():
                shape = "".join(f"[{'?' if size is None else size}]" for size in spec.shape)
                null = part(needs.get(column)).get("null") if kind == "takes" else None
                rows.append(
                    [kind, column, f"{spec.dtype}{shape}", "" if null is None else cut(null)]
                )
        said = f"{found.batch} rows at a time" if found.batch else ""
        head = ("", "column", "tensor of a row", "null is")
        made.append(Section(f"Signature {name}", said, (), head, rows))
    return made


def _metrics(manifest: Mapping[str, Any]) -> list[Section]:
    found = {split: part(one) for split, one in part(manifest.get("metrics")).items()}
    names = list(dict.fromkeys(n for one in found.values() for n in one))
    rows = [[split, *(number(one.get(name)) for name in names)] for split, one in found.items()]
    return [Section("How good it was", head=["split", *names], rows=rows)] if names else []


def _parts(manifest: Mapping[str, Any]) -> list[Section]:
    """The test split by class, and by the values of the columns of `model.slices`."""
    told = part(manifest.get("evaluation"))
    by = {"class": {cut(name, 40): part(one) for name, one in part(told.get("classes")).items()}}
    for column, found in part(told.get("slices")).items():
        by[cut(column, 40)] = {cut(slice_name(one), 40): one for one in parts(found)}
    made = []
    for column, rows in by.items():
        names = [
            n for n in dict.fromkeys(n for one in rows.values() for n in one) if n[:5] != "value"
        ]
        cells = [[name, *(number(one.get(n)) for n in names)] for name, one in rows.items()]
        if names:
            said = "rows of the test split"
            made.append(Section(f"By {column}", said, head=[column, *names], rows=cells))
    return made
