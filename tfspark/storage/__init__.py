"""Files and staging folders, on any file system that Arrow knows: `storage.join(...)`."""

from tfspark.storage.files import (
    absolute,
    checked,
    delete,
    delete_file,
    exists,
    files,
    filesystem,
    find_json,
    is_dir,
    join,
    links,
    make_dir,
    move,
    names,
    parse_json,
    read_bytes,
    read_json,
    sha256,
    write_bytes,
    write_json,
)
from tfspark.storage.lock import locked
from tfspark.storage.private import private_folder
from tfspark.storage.staging import abandoned, new_staging

__all__ = [
    "abandoned",
    "absolute",
    "checked",
    "delete",
    "delete_file",
    "exists",
    "files",
    "filesystem",
    "find_json",
    "is_dir",
    "join",
    "links",
    "locked",
    "make_dir",
    "move",
    "names",
    "new_staging",
    "parse_json",
    "private_folder",
    "read_bytes",
    "read_json",
    "sha256",
    "write_bytes",
    "write_json",
]
