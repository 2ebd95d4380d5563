"""What a night uses, found once: every step reads it here, and the record keeps it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

import tfspark
from tfspark import storage
from tfspark.champions.table import rows_of
from tfspark.config import Settings
from tfspark.contracts import load_contract
from tfspark.errors import StorageError
from tfspark.night.source import source_of
from tfspark.registry.index import indexed
from tfspark.registry.manifest import digest_folder, read_manifest
from tfspark.registry.resolve import is_uri, resolve_model
from tfspark.registry.tracking import CHAMPION, Store
from tfspark.tablenames import is_delta

_ALIAS = re.compile(r"models:/(?P<name>[^/@]+)@(?P<alias>[^/@]+)")


@dataclass(frozen=True)
class Pin:
    """One night's: see `tfspark.night.source.source_of` and `pinned_model`.

    Attributes:
        contract: its digest; None: there is none.
        settings: digest of those that change the result.
        code: tfspark's version.
    """

    source: dict[str, Any]
    model: dict[str, Any]
    contract: str | None
    settings: str
    code: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def prepared(self) -> str:
        """Equal where `prepare` would make the same dataset."""
        return key(self.source["value"], self.contract, self.settings, self.code)

    @property
    def scored(self) -> str:
        """Equal where the same rows would be published."""
        canary = self.model.get("canary")
        return key(self.prepared, self.model["digest"], *([canary] if canary else []))


def pin_of(settings: Settings, day: dt.date, model: dict[str, Any]) -> Pin:
    """What a night of this day uses.

    Args:
        model: see `pinned_model`.

    Raises:
        ConfigError: the contract cannot be used.
    """
    contract = load_contract(settings.contract).digest() if settings.contract else None
    says = settings.model_dump(mode="json", include={"name", "prepare", "source", "score"})
    return Pin(source_of(settings, day), model, contract, key(says)[:16], tfspark.__version__)


def with_pin(settings: Settings, day: dt.date, pin: Pin) -> Settings:
    """The settings by which the jobs of a night read what was pinned, and nothing newer."""
    source = settings.source
    if pin.source["kind"] == "delta":
        options = {**source.options, "versionAsOf": str(pin.source["version"])}
        kind = "delta" if is_delta(source.place(day)) else source.format
        source = source.model_copy(update={"format": kind, "options": options})
    score = settings.score.model_copy(update={"model": pin.model["uri"]})
    return settings.model_copy(update={"date": day, "source": source, "score": score})


def pinned_model(settings: Settings, before: dict[str, Any] | None) -> dict[str, Any]:
    """The model that scores now, by its version: `uri`, `name`, `version`, `digest`.

    Args:
        before: the model that the last night used. It stands in where the registry is away and
            its files are here; then `said` says so.

    Raises:
        ModelNotFound: there is none.
        StorageError: the registry is away.
    """
    asked = settings.score.model or f"models:/{settings.name}@champion"
    if isinstance(asked, dict):
        found = {name: model_of(settings, model) for name, model in sorted(asked.items())}
        parts = {k: " ".join(str(m[k]) for m in found.values()) for k in ("name", "version")}
        uris = {name: model["uri"] for name, model in found.items()}
        digest = key({name: model["digest"] for name, model in found.items()})
        return {"uri": uris, **parts, "digest": digest}
    try:
        return model_of(settings, asked)
    except StorageError as error:
        name, version = (before or {}).get("name"), (before or {}).get("version")
        folder = storage.join(settings.models, str(name), str(version))
        if type(error) is not StorageError or not is_uri(asked) or before is None:
            raise
        if (_local(folder) or {}).get("digest") != before["digest"]:
            raise
        said = f"the registry is away, so the last night's model scores: {error}"
        about = {part: before[part] for part in ("name", "version", "digest")}
        return {"uri": folder, **about, "said": said}


def model_of(settings: Settings, model: str) -> dict[str, Any]:
    """One model by its version: `uri`, `name`, `version`, `digest`.

    Raises:
        ModelNotFound: there is none.
        StorageError: the registry is away.
    """
    name, version, uri = "", "", model
    if match := _ALIAS.fullmatch(model):
        name = match["name"]
        number = _known(settings, name, match["alias"])
        if number is not None:
            version, uri = str(number), f"models:/{name}/{number}"
            manifest = _local(storage.join(settings.models, name, version))
            if manifest is not None:
                about = {"uri": uri, "name": name, "version": version}
                return {**about, "digest": str(manifest["digest"])}
    elif not is_uri(model):
        manifest = _local(model)
        if manifest is None and storage.is_dir(model):
            manifest = {"digest": digest_folder(model)}
        if manifest is not None:
            name = str(manifest.get("name") or model.rstrip("/").rpartition("/")[2])
            version = str(manifest.get("version", ""))
            return {"uri": model, "name": name, "version": version, "digest": manifest["digest"]}
    found = resolve_model(uri, settings.tracking_uri)
    if found.version and is_uri(model):
        uri = f"models:/{found.name}/{found.version}"
    return {"uri": uri, "name": found.name, "version": found.version, "digest": found.digest}


def _known(settings: Settings, name: str, alias: str) -> int | None:
    """The version of an alias: the table of promotions knows the champion, the index the others."""
    if alias == CHAMPION and (rows := rows_of(settings, name)):
        return rows[-1].version
    store = Store(settings.tracking_uri, name)
    about = (indexed(store.uri) or {}).get(store.name, {})
    found = about.get("aliases", {}).get(alias)
    return None if found is None else int(found)


def _local(folder: str) -> dict[str, Any] | None:
    return read_manifest(folder) if storage.is_dir(folder) else None


def key(*parts: Any) -> str:
    """Digest of what a step takes."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
