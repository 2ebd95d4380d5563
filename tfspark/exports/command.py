"""`tfspark export`: a model for TensorFlow Serving, LiteRT or Keras, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pyarrow import fs as pafs

from tfspark import storage
from tfspark.config import load_settings
from tfspark.console import print_summary
from tfspark.errors import ConfigError
from tfspark.exports import rebuilt, serving, tflite
from tfspark.exports.rows import rows_of
from tfspark.extras import need
from tfspark.flags import Parser
from tfspark.registry.manifest import digest_folder
from tfspark.serving.command import model_flags, model_of, name_of

FORMATS = ("serving", "tflite", "keras", "weights")
_ROWS = 1000


def main(argv: Sequence[str]) -> int:
    """Write a model for another runtime, compare it with the SavedModel, and publish it whole."""
    parser = Parser(prog="tfspark export", description=main.__doc__)
    model_flags(parser)
    parser.add_argument("--to", required=True, choices=FORMATS)
    parser.add_argument("--out", required=True, metavar="DIR", help="a folder that is not there")
    given = parser.parse(argv)
    if given.to == "tflite":
        need("ai_edge_litert", "tfspark export --to tflite")
    out = _local(given.out)
    overrides = {} if given.warehouse is None else {"warehouse": given.warehouse}
    settings = load_settings(given.config, overrides)
    model = model_of(given)
    name, version = name_of(model, given)
    rows, which = rows_of(model, settings, _ROWS)
    staging = storage.new_staging(str(out.parent), "export")
    try:
        made = Path(staging, "made")
        made.mkdir()
        if given.to == "serving":
            told = serving.write(made, model, name, version, rows)
            inside: tuple[str, ...] = (name, str(version))
        elif given.to == "tflite":
            told, inside = tflite.write(made, model, rows), ()
        else:
            whole = given.to == "keras"
            told, inside = rebuilt.write(made, model, settings, rows, whole), ()
        placed = _publish(made, out, inside)
    finally:
        storage.delete(staging)
        with suppress(OSError):
            Path(staging).parent.rmdir()
    print_summary("export: done", {"folder": str(placed), "compared": which, **told})
    return 0


def _publish(made: Path, out: Path, inside: tuple[str, ...]) -> Path:
    """Give a folder its place, by one rename.

    Args:
        inside: the folders in it, down to the one that may be added to those that are there.

    Raises:
        ConfigError: something else is there.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        made.rename(out)
        return out.joinpath(*inside)
    if out.is_dir() and digest_folder(str(out)) == digest_folder(str(made)):
        return out.joinpath(*inside)
    target = out.joinpath(*inside)
    if inside and not target.exists() and _versions(out):
        target.parent.mkdir(exist_ok=True)
        made.joinpath(*inside).rename(target)
        return target
    what = "is there" if inside and target.exists() else "holds something else"
    raise ConfigError(
        f"{target if inside and target.exists() else out}: {what}; name another --out"
    )


def _versions(out: Path) -> bool:
    """Whether a folder holds models by name and version, and nothing else."""
    if not out.is_dir():
        return False
    return all(
        name.is_dir()
        and all(v.name.isdecimal() and (v / "saved_model.pb").exists() for v in name.iterdir())
        for name in out.iterdir()
    )


def _local(out: str) -> Path:
    fs, inner = storage.filesystem(out)
    if not isinstance(fs, pafs.LocalFileSystem):
        raise ConfigError(f"--out {out}: is no folder of this machine; export here, and copy it")
    return Path(inner)
