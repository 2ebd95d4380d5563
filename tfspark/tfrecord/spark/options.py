"""The options of Spark's "tfrecord" source, checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, cast

from tfspark.errors import ConfigError
from tfspark.tfrecord.codec.stream import Compression
from tfspark.tfrecord.folder.parts import FILE_BYTES, Cut

_KNOWN = {
    name.lower(): name
    for name in (
        *("path", "paths", "compression", "columns", "onCorrupt", "corruptPath", "inferRecords"),
        *("maxPartitionBytes", "partitionBy", "narrow", "maxFileBytes", "maxRecordsPerFile"),
        *("partitionOverwriteMode", "mustBeNew", "where"),
    )
}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20}
_UNITS |= {"g": 1 << 30, "gb": 1 << 30}
_TASK_BYTES = 128 << 20


class Options:
    """What a user gave to `.option(...)`; names in any case.

    Raises:
        ConfigError: an option is unknown or has a wrong value.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in given.items()}
        if unknown := sorted(set(self._given) - set(_KNOWN)):
            known = ", ".join(sorted(set(_KNOWN.values()) - {"paths"}))
            raise ConfigError(f"tfrecord: option {unknown[0]!r} is unknown; there are {known}")
        paths = json.loads(self._given["paths"]) if "paths" in self._given else []
        self.paths: list[str] = [self._given["path"]] if "path" in self._given else paths
        if not self.paths:
            raise ConfigError("tfrecord: no path: give it to load or save")
        self.compression: Compression | None = None
        if "compression" in self._given:
            self.compression = cast(
                Compression, self._one_of("compression", ("none", "gzip", "zlib"))
            )
        self.columns = self._list("columns")
        self.where = self._given.get("where", "")
        self.partition_by = self._list("partitionBy") or []
        self.on_corrupt = cast(Literal["fail", "skip"], self._one_of("onCorrupt", ("fail", "skip")))
        self.corrupt_path = self._given.get("corruptpath")
        self.infer_records = self._number("inferRecords", 1000)
        self.task_bytes = self._number("maxPartitionBytes", _TASK_BYTES)
        self.narrow = self._narrow()
        self.dynamic = self._one_of("partitionOverwriteMode", ("static", "dynamic")) == "dynamic"
        self.must_be_new = self._one_of("mustBeNew", ("false", "true")) == "true"

    @property
    def path(self) -> str:
        if len(self.paths) > 1:
            raise ConfigError(f"tfrecord: one folder is written to, not {self.paths}")
        return self.paths[0]

    @property
    def cut(self) -> Cut:
        rows = self._number("maxRecordsPerFile", 0)
        size = self._number("maxFileBytes", FILE_BYTES)
        return Cut(self.compression or "none", size, rows or None)

    def _one_of(self, name: str, values: tuple[str, ...]) -> str:
        value = self._given.get(name.lower(), values[0]).lower()
        if value not in values:
            raise ConfigError(f"tfrecord: {name} is {value!r}; use {' or '.join(values)}")
        return value

    def _list(self, name: str) -> list[str] | None:
        if name.lower() not in self._given:
            return None
        return [part.strip() for part in self._given[name.lower()].split(",") if part.strip()]

    def _number(self, name: str, default: int) -> int:
        value = self._given.get(name.lower(), str(default)).strip().lower()
        found = re.fullmatch(r"(\d+)\s*([a-z]*)", value)
        if not found or found[2] not in _UNITS:
            raise ConfigError(f"tfrecord: {name} is {value!r}; give a number, 64m or 1g")
        return int(found[1]) * _UNITS[found[2]]

    def _narrow(self) -> dict[str, str]:
        text = self._given.get("narrow", "").strip()
        if not text.startswith("{"):
            pairs = [part.rpartition(":") for part in text.split(",") if part.strip()]
            return {name.strip(): way.strip() for name, _, way in pairs}
        try:
            value: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"tfrecord: narrow is no JSON: {error}") from None
        return {str(name): str(way) for name, way in value.items()}
