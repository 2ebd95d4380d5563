"""From what a user names, a folder or an MLflow URI, to a model that may be opened."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from tfspark import storage
from tfspark.errors import IntegrityError
from tfspark.registry.manifest import digest_of, file_sums, read_manifest, verify
from tfspark.registry.place import saved_model
from tfspark.registry.safety import check_ops
from tfspark.registry.signature import DEFAULT, Signature, read_signature
from tfspark.tensors import TensorSpec, default_null
from tfspark.wording import say

_ID = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True)
class ModelFolder:
    """A SavedModel that is verified: its files are those of its manifest, its ops are allowed.

    Attributes:
        name: the registered name, or the folder's.
        version: the registered version; "" where there is none.
        path: the folder.
        digest: digest of its files, see `tfspark.registry.manifest`.
        files: path in the folder → `sha256` and `bytes`.
        signature: inputs (with the values that stand for null) and outputs.
        manifest: None for a model that has none.
    """

    name: str
    version: str
    path: str
    digest: str
    files: dict[str, dict[str, Any]]
    signature: Signature
    manifest: dict[str, Any] | None


def resolve_model(
    model: str, tracking_uri: str | None = None, signature: str | None = None
) -> ModelFolder:
    """Find a model, verify its files and its ops, read its signature.

    Args:
        model: a folder with `saved_model.pb`, or an MLflow URI: `models:/name@alias`,
            `models:/name/3`, `models:/name/latest`, `models:/m-ID`, `m-ID`, `runs:/RUN/PATH`.
        tracking_uri: the MLflow server of a URI; default: MLflow's own, else the jobs' in
            `warehouse`.
        signature: default: the one that the manifest names, else `serving_default`.

    Raises:
        ModelNotFound: there is no model there.
        IntegrityError: a file differs from the manifest, or is a link; or the manifest is not the
            one that was registered.
        UnsafeModelError: it holds ops that are not allow-listed.
        SignatureError: it has no such signature.
    """
    name = version = ""
    path = model
    ours, sha256 = False, None
    if is_uri(model):
        from tfspark.registry.download import download

        path, name, version, ours, sha256 = download(model, tracking_uri)
    named = storage.absolute(path)
    path = storage.absolute(saved_model(path, model))
    for link in storage.links(path):
        raise IntegrityError(say("link_in_model", model=path, name=link))
    manifest = read_manifest(path, sha256, must=ours)
    if manifest is None:
        files = file_sums(path)
        digest = digest_of(files)
    else:
        verify(path, manifest)
        files, digest = manifest["files"], str(manifest["digest"])
        name, version = name or manifest.get("name", ""), version or manifest.get("version", "")
    meta = check_ops(path)
    found = read_signature(path, signature or (manifest or {}).get("signature", DEFAULT), meta)
    del meta
    found = replace(found, inputs=_with_nulls(found.inputs, manifest))
    if not name:
        name, version = _name_of(named)
    return ModelFolder(str(name), str(version), path, digest, files, found, manifest)


def is_uri(model: str) -> bool:
    """Whether a model is named by MLflow, and not by its folder."""
    return model.startswith(("models:/", "runs:/")) or _ID.fullmatch(model) is not None


def _with_nulls(
    inputs: dict[str, TensorSpec], manifest: dict[str, Any] | None
) -> dict[str, TensorSpec]:
    """The inputs with the values that stand for null.

    The manifest declares them. A model without one gets NaN and "" where the dtype has such a
    value; for its integers and booleans nothing stands for null.
    """
    declared = (manifest or {}).get("inputs", {})
    result = {}
    for name, spec in inputs.items():
        if name in declared:
            spec = spec.like(TensorSpec.from_json(declared[name]))
        elif manifest is None and (spec.dtype == "string" or "float" in spec.dtype):
            spec = replace(spec, null=default_null(spec.dtype))
        result[name] = spec
    return result


def _name_of(path: str) -> tuple[str, str]:
    """`models/passengers/3` → (passengers, 3); `models/mine` → (mine, "")."""
    parts = path.rstrip("/").split("/")
    if parts[-1].isdigit() and len(parts) > 1:
        return parts[-2], parts[-1]
    return parts[-1], ""
