"""The options of Spark's "tfrecord" source, checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, cast

from tfspark.errors import ConfigError
from tfspark.tfrecord.codec.schema import RecordType
from tfspark.tfrecord.codec.stream import Compression
from tfspark.tfrecord.folder.parts import FILE_BYTES, Cut
from tfspark.wording import INSTEAD, say

_KNOWN = {
    name.lower(): name
    for name in (
        *("path", "paths", "compression", "columns", "onCorrupt", "corruptPath", "inferRecords"),
        *("maxPartitionBytes", "partitionBy", "narrow", "maxFileBytes", "maxRecordsPerFile"),
        *("partitionOverwriteMode", "mustBeNew", "where", "recordType", "codec", "writeLocality"),
    )
}
_INSTEAD = {name.lower(): name for name in INSTEAD}
# Names of Hadoop's classes and their short names, as other connectors take them.
_CODECS: dict[str, Compression] = {
    **{"none": "none", "uncompressed": "none", "gzip": "gzip", "gzipcodec": "gzip"},
    **{"zlib": "zlib", "deflate": "zlib", "deflatecodec": "zlib", "defaultcodec": "zlib"},
}
_RECORDS: dict[str, RecordType] = {
    name.lower(): name for name in ("Example", "SequenceExample", "ByteArray")
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
            for name in unknown:
                if name in _INSTEAD:
                    known = _INSTEAD[name]
                    raise ConfigError(say("other_option", name=known, instead=INSTEAD[known]))
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
        every = self._given.get("inferrecords", "").strip().lower() == "all"
        self.infer_records = None if every else self._number("inferRecords", 1000)
        self.task_bytes = self._number("maxPartitionBytes", _TASK_BYTES)
        self.narrow = self._narrow()
        self.dynamic = self._one_of("partitionOverwriteMode", ("static", "dynamic")) == "dynamic"
        self.must_be_new = self._one_of("mustBeNew", ("false", "true")) == "true"
        self.record_type: RecordType | None = None
        if "recordtype" in self._given:
            kind = self._given["recordtype"]
            if kind.lower() not in _RECORDS:
                known = " or ".join(_RECORDS.values())
                raise ConfigError(f"tfrecord: recordType is {kind!r}; use {known}")
            self.record_type = _RECORDS[kind.lower()]
        self._codec = self._coded()
        if self._given.get("writelocality", "distributed").lower() == "local":
            raise ConfigError(say("local_disks"))
        self._one_of("writeLocality", ("distributed",))

    @property
    def path(self) -> str:
        if len(self.paths) > 1:
            raise ConfigError(f"tfrecord: one folder is written to, not {self.paths}")
        return self.paths[0]

    @property
    def cut(self) -> Cut:
        rows = self._number("maxRecordsPerFile", 0)
        size = self._number("maxFileBytes", FILE_BYTES)
        return Cut(self.compression or self._codec or "none", size, rows or None)

    def _coded(self) -> Compression | None:
        """The compression of files to write that `codec` names."""
        codec = self._given.get("codec", "").strip()
        if not codec:
            return None
        found = _CODECS.get(codec.rpartition(".")[2].lower())
        if found is None:
            raise ConfigError(say("no_codec", codec=codec))
        if self.compression not in (None, found):
            raise ConfigError(say("two_codecs", codec=codec, compression=self.compression))
        return found

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
