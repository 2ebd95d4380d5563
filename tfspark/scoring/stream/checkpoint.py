"""A stream's folder: whose checkpoint it is, and which model a batch was begun with.

Spark keeps there how far the stream is; what is ours lies in its folder `tfspark`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfspark import storage
from tfspark.errors import ConfigError, IntegrityError
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
    ) -> None:
        """Whether the checkpoint is this stream's, or new; then it is noted whose it is.

        Args:
            has_rows: whether the target has rows.

        Raises:
            ConfigError: it is another stream's; or all rows would come again.
        """
        mine = {"source": source, "target": target, "quarantine": quarantine}
        if storage.exists(storage.join(self.folder, "metadata")):
            there = _read(self._stream, source=str, target=str)
            differ = [f"{k}: {there.get(k)}" for k in mine if there.get(k) != mine[k]]
            if differ:
                raise ConfigError(
                    f"{self.folder}: is the checkpoint of another stream ("
                    f"{'; '.join(differ)}); a stream has a checkpoint of its own"
                )
            return
        said = {name.lower() for name in options}
        if not said & set(_STARTS) and has_rows():
            raise ConfigError(
                f"{target}: has rows, and the checkpoint {self.folder} is new: all rows "
                f"of {source} would come again. Name the old checkpoint or a new target, or "
                "say where to begin: options={'startingVersion': ...}"
            )
        storage.write_json(self._stream, mine)

    def model_of(
        self, batch: int, model: AnyModel, find: Callable[[dict[str, Any]], AnyModel]
    ) -> AnyModel:
        """The model of a batch: the stream's, if the batch was not begun with another one.

        Args:
            find: the model of a description, see `AnyModel.pinned`.

        Raises:
            IntegrityError: the files of the other one were changed.
        """
        begun = _read(self._batch, batch=int, digest=str, model=dict)
        if begun.get("batch") != batch:
            note = {"batch": batch, "digest": model.digest, "model": model.pinned()}
            storage.write_json(self._batch, note)
            return model
        if begun["digest"] == model.digest:
            return model
        first = find(begun["model"])
        if first.digest != begun["digest"]:
            raise IntegrityError(
                f"{first.path}: batch {batch} was begun with this model, whose files were changed "
                "since; bring them back, and start the stream again"
            )
        return first


def _read(path: str, **kinds: type) -> dict[str, Any]:
    """A note of ours; empty where there is none."""
    if not storage.exists(path):
        return {}
    return storage.checked(storage.read_json(path), path, **kinds)
