"""Images that nobody has described: what they are, and a contract and a recipe for them."""

from __future__ import annotations

import datetime as dt
import math
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfspark import storage
from tfspark.console import printable
from tfspark.errors import ConfigError
from tfspark.images.check import ImageRule, fault, size_of
from tfspark.images.names import is_hidden, is_image, label_of
from tfspark.images.table import IMAGE, LABEL, PATH, UNREAD, ImageTable, image_table
from tfspark.starter.yamlline import yaml_line

MOST = 500
"""Images that are opened."""
_LARGEST = 128
"""Pixels of a side: what a CPU trains on in minutes."""
_LABELS = 1000


@dataclass(frozen=True)
class Seen:
    """What was seen of images.

    Attributes:
        labels: how many images each has, by name.
        bare: images in no folder.
        sizes: (height, width) of those that were opened.
        faults: what is wrong with those that cannot be used.
        opened: number of images.
    """

    path: str
    table: ImageTable
    labels: dict[str, int]
    bare: int
    sizes: Counter[tuple[int, int]]
    faults: list[str]
    opened: int

    @property
    def size(self) -> tuple[int, int]:
        """What all are resized to: theirs, or one of the middle."""
        sides = [sorted(size[n] for size in self.sizes.elements()) for n in (0, 1)]
        height, width = (side[len(side) // 2] for side in sides)
        shrink = min(1.0, _LARGEST / max(height, width))
        if len(self.sizes) == 1 and shrink == 1:
            return height, width
        return _round(height * shrink), _round(width * shrink)

    @property
    def share(self) -> float:
        """Room for twice as many bad rows as there are now, and at least a hundredth."""
        bad = len(self.faults) / self.opened + self.bare / len(self.table.files)
        return max(0.01, min(0.5, math.ceil(200 * bad) / 100))


def holds_images(path: str) -> bool:
    """Whether a path is a zip, or a folder with an image in it."""
    place = Path(path)
    if place.is_file():
        return zipfile.is_zipfile(place)
    if (place / "_delta_log").is_dir():
        return False
    names = (str(file.relative_to(place)) for file in place.rglob("*") if file.is_file())
    return any(is_image(name) and not is_hidden(name) for name in names)


def look_at_images(path: str) -> Seen:
    """Look at the images of a folder or a zip.

    Raises:
        ConfigError: there are no two labels, or no image can be used.
    """
    table = image_table(path)
    labels = Counter(label_of(file.name) for file in table.files)
    bare = labels.pop(None, 0)
    if len(labels) < 2:
        raise ConfigError(
            f"{path}: the images lie in {len(labels)} folders; a label is a folder's name, and two "
            "are needed at least: cats/1.jpg, dogs/2.jpg"
        )
    if len(labels) > _LABELS:
        raise ConfigError(f"{path}: {len(labels):,} folders are too many labels to learn")
    step = max(1, len(table.files) // MOST)
    chosen = table.files[::step][:MOST]
    sizes: Counter[tuple[int, int]] = Counter()
    faults = []
    for batch in table.batches(chosen, [IMAGE, UNREAD]):
        for image, unread in zip(*(batch.column(n).to_pylist() for n in range(2)), strict=True):
            why = unread or fault(image, ImageRule(IMAGE))
            if why is not None:
                faults.append(why)
            elif size := size_of(image):
                sizes[size] += 1
    if not sizes:
        raise ConfigError(f"{path}: no image can be used; the first {faults[0]}")
    known = {str(name): count for name, count in sorted(labels.items(), key=lambda x: str(x[0]))}
    return Seen(path, table, known, bare, sizes, faults, len(chosen))


def write_images(path: str, name: str, files: tuple[Path, Path], day: dt.date) -> dict[str, Any]:
    """Write both files, the contract and the recipe; what the summary says."""
    contract, recipe = files
    seen = look_at_images(path)
    contract.parent.mkdir(parents=True, exist_ok=True)
    storage.write_bytes(str(contract), _lines(_contract(name, seen)))
    storage.write_bytes(str(recipe), _lines(_recipe(name, str(contract), seen, day)))
    few = len(seen.faults)
    return {
        "images": f"{len(seen.table.files):,}" + (f" ({few} of {seen.opened} bad)" if few else ""),
        "left_out": len(seen.table.left_out),
        "key": PATH,
        "label": f"{LABEL}, the folder: {len(seen.labels)} of them, {_task(seen)}",
    }


def contract_of_images(path: str, name: str) -> str:
    """The contract that would be written for images."""
    return _lines(_contract(name, look_at_images(path))).decode()


def _contract(name: str, seen: Seen) -> Iterator[str]:
    files, labels = len(seen.table.files), list(seen.labels)
    where = printable(seen.path)
    yield f"# What the images of {where} must be, guessed from {files:,} of them."
    yield "# Each line says what was seen. Correct what you know better: docs/images.md."
    yield "apiVersion: v3.0.2"
    yield "kind: DataContract"
    yield f"id: {yaml_line(name)}"
    yield "version: 1.0.0"
    yield "schema:"
    yield f"  - name: {yaml_line(name)}"
    yield "    # More bad rows than this share stop a job; fewer go to the quarantine table."
    yield f"    quarantine: {{maxShare: {seen.share}}}"
    yield "    properties:"
    yield "      # path: of the file, below the folder or in the zip; every row has its own"
    key = {"name": PATH, "physicalType": "string", "primaryKey": True, "required": True}
    yield f"      - {yaml_line({**key, 'role': 'key'})}"
    top = ", ".join(f"{printable(k)} ({v:,})" for k, v in list(seen.labels.items())[:8])
    bare = f"; {seen.bare:,} images lie in no folder: bad rows" if seen.bare else ""
    yield f"      # label: the folder; {len(labels):,} different: {top}{bare}"
    label = {"name": LABEL, "physicalType": "string", "required": True, "role": "label"}
    yield f"      - {yaml_line({**label, 'validValues': labels})}"
    sizes = [f"{h} x {w} ({n:,})" for (h, w), n in seen.sizes.most_common(4)]
    more = ", ..." if len(seen.sizes) > len(sizes) else ""
    yield f"      # image: the file as it is; height x width {', '.join(sizes)}{more}"
    for why in list(dict.fromkeys(seen.faults))[:3]:
        yield f"      #   bad rows: one {printable(why)}"
    image = {"name": IMAGE, "physicalType": "binary", "required": True}
    yield f"      - {yaml_line(image)}"


def _recipe(name: str, contract: str, seen: Seen, day: dt.date) -> Iterator[str]:
    height, width = seen.size
    stages = max(1, round(math.log2(max(8, min(height, width)) / 4)))
    filters = [min(128, 16 * 2**stage) for stage in range(stages)]
    rows = len(seen.table.files)
    batch = min(64, max(16, 2 ** round(math.log2(max(rows, 1) / 50))))
    yield f"# From {printable(seen.path)} to a scored table."
    yield "# All settings: docs/images.md, docs/training.md."
    yield f"name: {yaml_line(name)}"
    yield f"contract: {yaml_line(contract)}"
    yield "# The day that prepare and score work on; --date replaces it."
    yield f"date: {day.isoformat()}"
    yield ""
    yield f"source: {yaml_line({'format': 'images', 'path': seen.path})}"
    yield ""
    yield "prepare:"
    yield "  format: tfrecord    # of the encoded images, as they are"
    yield "  split:"
    yield "    by: hash          # of the path: the same image is always in the same split"
    yield f"    test: {0.2 if rows < 5_000 else 0.1}"
    yield "    validation: 0.1"
    yield ""
    yield "features:"
    yield "  - name: photo"
    yield "    kind: image       # decoded, resized and scaled inside the model"
    yield "    column: image"
    yield f"    size: [{height}, {width}]"
    yield f"    augment: {{flip: true, shift: {min(height, width) // 8}}}   # in training alone"
    yield ""
    yield "model:"
    yield "  builder: tfspark.models.images:cnn   # or :resnet, or your own, module:function"
    yield f"  params: {{filters: {filters}, dropout: 0.2}}"
    yield f"  task: {_task(seen)}"
    yield ""
    yield "training:"
    yield "  epochs: 30          # at most; it stops when validation no longer gets better"
    yield "  patience: 5"
    yield f"  batch_size: {batch}"
    yield "  learning_rate: 0.003"
    yield "  warmup_epochs: 1"
    yield "  reduce_learning_rate: {patience: 2, factor: 0.4}"
    yield ""
    yield "score:"
    yield f"  model: models:/{name}@champion"
    yield f"  keep: [{PATH}]"


def _lines(lines: Iterator[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _task(seen: Seen) -> str:
    return "binary" if len(seen.labels) == 2 else "multiclass"


def _round(side: float) -> int:
    return max(8, 8 * round(side / 8))
