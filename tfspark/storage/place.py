"""A path, parsed once: whose file system it is on, and the raw key there.

Every other module takes paths as texts and asks here what they mean. A key is raw: a space, `%`,
`#`, `?` or `:` in it is that character, as Spark takes it too. Only `file:` URIs are quoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlparse

from tfspark.errors import StorageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
_S3 = ("s3", "s3a", "s3n")
_AZURE = ("abfs", "abfss")
_OBJECTS = ("s3", "gs", "abfs")


@dataclass(frozen=True)
class Place:
    """Where a file or folder is.

    Attributes:
        scheme: `file`, `s3` (also of s3a and s3n), `hdfs`, `gs`, `abfs` (also of abfss)...
        authority: bucket, host and port, or container@account; "" of this machine.
        key: raw; of this machine and of HDFS it begins with `/`.
        text: as it was given.
    """

    scheme: str
    authority: str
    key: str
    text: str

    @property
    def is_local(self) -> bool:
        return self.scheme == "file"

    @property
    def is_objects(self) -> bool:
        """Whether there are no folders there, so that none can be renamed at once."""
        return self.scheme in _OBJECTS

    @property
    def inner(self) -> str:
        """The path inside Arrow's file system."""
        if not self.is_objects:
            return self.key
        container = self.authority.partition("@")[0]
        return f"{container}/{self.key}".rstrip("/")

    @property
    def for_spark(self) -> str:
        """As Hadoop takes it, whatever its default file system."""
        if self.is_local:
            return Path(self.key).as_uri()
        if self.scheme == "s3":
            return f"s3a://{self.authority}/{self.key}"
        return self.text

    @property
    def for_delta(self) -> str:
        """As deltalake takes it: URIs are quoted, paths of this machine are not."""
        if self.is_local:
            return self.key
        scheme = self.text.partition(":")[0].lower() if self.scheme == "abfs" else self.scheme
        return f"{scheme}://{self.authority}/{quote(self.key.lstrip('/'), safe='/=')}"


def parse(path: str) -> Place:
    """What a path or URI means.

    Raises:
        StorageError: it is no URI as they are written here.
    """
    if path.startswith("file:"):
        return Place("file", "", unquote(urlparse(path).path), path)
    found = _SCHEME.match(path)
    if found is None:
        return Place("file", "", str(Path(path).absolute()), path)
    given = found[1]
    rest = path[found.end() :]
    if not rest.startswith("/"):
        raise StorageError(
            f"{path}: is neither a path nor a URI; write {given}://HOST-OR-BUCKET/PATH, or "
            f"./{path} for a folder of this machine"
        )
    scheme = given.lower()
    if given != scheme:
        raise StorageError(f"{path}: Spark knows {scheme}:// in small letters only")
    authority, _, key = rest[1:].partition("/")
    if scheme in _S3:
        return Place("s3", authority, key.strip("/"), path)
    if scheme in _AZURE:
        return Place("abfs", authority, key.strip("/"), path)
    if scheme in _OBJECTS:
        return Place(scheme, authority, key.strip("/"), path)
    return Place(scheme, authority, "/" + key.rstrip("/"), path)
