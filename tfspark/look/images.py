"""A folder or a zip of images: labels, sizes, a sheet of some."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tfspark.images.check import ImageRule, fault, size_of
from tfspark.images.names import label_of
from tfspark.images.table import IMAGE, PATH, UNREAD, image_table
from tfspark.look.columns import pictures
from tfspark.look.view import Plot, Section, View

_OPENED = 200


def images(path: str) -> View:
    """What of them is looked at is spread over all."""
    table = image_table(path)
    labels = Counter(label_of(file.name) or "(no folder)" for file in table.files)
    chosen = table.files[:: max(1, len(table.files) // _OPENED)][:_OPENED]
    sizes: Counter[str] = Counter()
    good, bad = [], []
    for batch in table.batches(chosen, [PATH, IMAGE, UNREAD]):
        for name, image, unread in zip(*(c.to_pylist() for c in batch.columns), strict=True):
            why = unread or fault(image, ImageRule(IMAGE))
            if why is not None:
                bad.append((name, why))
                continue
            good.append((name, image))
            if size := size_of(image):
                sizes[f"{size[0]} x {size[1]}"] += 1
    about = [
        ("images", f"{len(table.files):,}"),
        ("bytes", f"{table.bytes:,}"),
        ("other files", f"{len(table.left_out):,}"),
        ("labels", f"{len(labels):,}, by folder"),
        ("height x width", ", ".join(f"{s} ({n:,})" for s, n in sizes.most_common(5))),
        ("looked at", f"{len(chosen):,}, of which {len(bad):,} cannot be used"),
    ]
    bars = [(name, count / len(table.files)) for name, count in labels.most_common(20)]
    made = [Section("Images", facts=about)]
    if len(labels) > 1:
        made.append(Section("Labels", plots=[Plot("images by label", bars)]))
    step = max(1, len(good) // 24)
    made.append(Section("Some of them", sheet=pictures(good[::step])))
    if bad:
        made.append(Section("What cannot be used", head=("file", "why"), rows=bad[:20]))
    return View(Path(path).absolute().name, path, made)
