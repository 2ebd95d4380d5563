"""A stream's folder: whose checkpoint it is, and which model a batch was written with.

Spark keeps there how far the stream is; what is ours lies in its folder `tfspark`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tfspark import storage, tables
from tfspark.errors import ConfigError, IntegrityError, ModelNotFound, StorageError
from tfspark.scoring.kinds.model import AnyModel

_STARTS = ("startingversion", "startingtimestamp")


class Checkpoint:
    """The checkpoint of one stream.

    Attributes:
        rows: the folder for the scored rows of a batch, until they are in the table.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        own = storage.join(folder, "tfspark")
        self.rows = storage.join(own, "rows")
        self._stream = storage.join(own, "stream.json")
        self._batch = storage.join(own, "batch.json")

    def claim(
        self,
        source: str,
        target: str,
        quarantine: str,
        options: dict[str, str],
        has_rows: Callable[[], bool],
        last: Callable[[], int | None],
    ) -> None:
        """Whether the checkpoint is this stream's, or new; then it is noted whose it is.

        Args:
            has_rows: whether the target has rows.
            last: the stream's last batch that is in the target; None: it has none.

        Raises:
            ConfigError: it is another stream's; or all rows would come again.
            StorageError: the target does not have what the stream has written.
        """
        asked = {"source": source, "target": target, "quarantine": quarantine}
        mine = {what: _place(name) for what, name in asked.items()}
        if storage.exists(storage.join(self.folder, "metadata")):
            there = _read(self._stream, source=str, target=str)
            differ = [f"{k}: {there.get(k)}" for k in mine if _place(there.get(k)) != mine[k]]
            if differ:
                raise ConfigError(
                    f"{self.folder}: is the checkpoint of another stream ("
                    f"{'; '.join(differ)}); a stream has a checkpoint of its own"
                )
            self._check_target(target, last())
            return
        said = {name.lower() for name in options}
        if not said & set(_STARTS) and has_rows():
            raise ConfigError(
                f"{target}: has rows, and the checkpoint {self.folder} is new: all rows "
                f"of {source} would come again. Name the old checkpoint or a new target, or "
                "say where to begin: options={'startingVersion': ...}"
            )
        storage.write_json(self._stream, mine)

    def _check_target(self, target: str, last: int | None) -> None:
        done = [
            int(name)
            for name in storage.names(storage.join(self.folder, "commits"))
            if name.isdigit()
        ]
        if done and (last is None or last < max(done)):
            raise StorageError(
                f"{target}: does not have batch {max(done)} of this stream, which {self.folder} "
                "says is written: the table is gone, or another one is in its place. Bring it "
                "back; or name a new checkpoint, to score all rows again"
            )

    def note(self, batch: int, model: AnyModel, signature: str | None) -> None:
        """Note, before a row of it is written, the model of a batch.

        Args:
            signature: the one that was asked for.
        """
        about = {"batch": batch, "digest": model.digest, "signature": signature or ""}
        storage.write_json(self._batch, {**about, "model": model.pinned()})

    def model_of(
        self,
        batch: int,
        model: AnyModel,
        signature: str | None,
        find: Callable[[dict[str, Any], str | None], AnyModel],
    ) -> AnyModel:
        """The model of a batch of which a table has its part: the one that it was written with.

        Args:
            model, signature: what the stream has now.
            find: the model of a description, see `AnyModel.pinned`, and its signature.

        Raises:
            ModelNotFound: it is not there.
            IntegrityError: its files were changed.
        """
        begun = _read(self._batch, batch=int, digest=str, model=dict)
        why = f"the bad rows of batch {batch} are written, by this model"
        if begun.get("batch") != batch:
            raise IntegrityError(
                f"{self._batch}: is not the note of batch {batch}, whose bad rows are written; "
                "bring the file back, and start the stream again"
            )
        asked = str(begun.get("signature", signature or ""))
        if begun["digest"] == model.digest and asked == (signature or ""):
            return model
        try:
            first = find(begun["model"], asked or None)
        except ModelNotFound as error:
            raise ModelNotFound(
                f"{error}; {why}: bring it back, and start the stream again"
            ) from error
        if first.digest != begun["digest"]:
            raise IntegrityError(
                f"{first.path}: {why}, whose files were changed since; bring them back, and start "
                "the stream again"
            )
        return first


def _place(name: Any) -> str:
    """A table's folder, however its path is written; a name of the catalog as it is."""
    if not isinstance(name, str) or not (tables.is_path(name) or name.startswith("file:")):
        return str(name)
    is_local = name.startswith("file:") or "://" not in name
    return os.path.realpath(storage.filesystem(name)[1]) if is_local else name.rstrip("/")


def _read(path: str, **kinds: type) -> dict[str, Any]:
    """A note of ours; empty where there is none."""
    if not storage.exists(path):
        return {}
    return storage.checked(storage.read_json(path), path, **kinds)
