"""Files and staging folders, on any file system that Arrow knows: `storage.join(...)`."""

from tfspark.storage.files import (
    absolute,
    delete,
    delete_file,
    exists,
    files,
    filesystem,
    find_json,
    is_dir,
    join,
    make_dir,
    move,
    names,
    read_bytes,
    read_json,
    sha256,
    write_bytes,
    write_json,
)
from tfspark.storage.lock import locked
from tfspark.storage.staging import abandoned, new_staging

__all__ = [
    "abandoned",
    "absolute",
    "delete",
    "delete_file",
    "exists",
    "files",
    "filesystem",
    "find_json",
    "is_dir",
    "join",
    "locked",
    "make_dir",
    "move",
    "names",
    "new_staging",
    "read_bytes",
    "read_json",
    "sha256",
    "write_bytes",
    "write_json",
]
