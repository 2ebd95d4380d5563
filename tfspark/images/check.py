"""Whether bytes are an image that a model decodes, and why not: by the very op of the model."""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from tfspark.compat.keras import without_keras
from tfspark.images.table import UNREAD
from tfspark.quiet import quiet

_KINDS = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
}
"""What models decode → how it begins."""
_OTHERS = {
    "WebP": ((8, b"WEBP"),),
    "TIFF": ((0, b"II*\0"), (0, b"MM\0*")),
    "HEIC or AVIF": ((4, b"ftyp"),),
    "PDF": ((0, b"%PDF"),),
    "SVG or other XML": ((0, b"<svg"), (0, b"<?xml")),
}
_SHOWN = 16
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND", "GIF": b"\x3b"}
_TAIL = 16  # bytes that may be behind the end
# Of a JPEG: the segments with its size (SOF), and those without a length.
_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_BARE = {0x01, *range(0xD0, 0xD9)}


@dataclass(frozen=True)
class ImageRule:
    """What the images of a column must be.

    Attributes:
        least_side: pixels of the shorter side.
        most_pixels: of the whole image: a small file may hold billions.
    """

    column: str
    least_side: int = 1
    most_pixels: int = 50_000_000

    def broken(self, batch: pa.RecordBatch) -> list[tuple[int, str]]:
        """Rows whose image no model can take, and why; nulls are another rule's concern."""
        images = batch.column(self.column)
        found = [
            (row, f"{self.column}: {why}")
            for row, image in enumerate(images)
            if image.is_valid and (why := fault(image.as_py(), self))
        ]
        if UNREAD in batch.schema.names:
            told = batch.column(UNREAD).to_pylist()
            found += [
                (row, f"{self.column}: {why}")
                for row, why in enumerate(told)
                if why and not images[row].is_valid
            ]
        return found


def fault(image: bytes, rule: ImageRule) -> str | None:
    """Why no model can take an image; None: it can."""
    if not image:
        return "is empty, 0 bytes"
    kind = next((name for name, starts in _KINDS.items() if image.startswith(starts)), None)
    if kind is None:
        return _other(image)
    size = _SIZES[kind](image)
    if size is not None:
        height, width = size
        if height * width > rule.most_pixels:
            return f"is {width} x {height} pixels, more than {rule.most_pixels:,} (most_pixels)"
        if min(height, width) < rule.least_side:
            return f"is {width} x {height} pixels, a side below {rule.least_side} (least_side)"
    said = _decoder()(image)
    if said is None:
        return None
    if size is None or (kind in _ENDS and _ENDS[kind] not in image[-_TAIL:]):
        return f"is a {kind} that is cut off: {len(image):,} bytes, and no end"
    return f"is a {kind} that cannot be decoded: {said}"


def size_of(image: bytes) -> tuple[int, int] | None:
    """Height and width, as the first bytes say; None: they do not."""
    kind = next((name for name, starts in _KINDS.items() if image.startswith(starts)), None)
    return None if kind is None else _SIZES[kind](image)


def _other(image: bytes) -> str:
    for name, marks in _OTHERS.items():
        if any(image[at : at + len(mark)] == mark for at, mark in marks):
            return f"is {name}, not JPEG, PNG, GIF or BMP; convert it"
    begin = image[:_SHOWN].decode("ascii", "backslashreplace")
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in begin)
    return f"is no image (JPEG, PNG, GIF, BMP); it begins with {shown}"


def _jpeg(image: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(image):
        if image[at] != 0xFF:
            return None
        marker = image[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _BARE:
            at += 2
        elif marker in _SOF:
            return struct.unpack(">HH", image[at + 5 : at + 9])
        else:
            at += 2 + int.from_bytes(image[at + 2 : at + 4], "big")
    return None


def _fixed(form: str, at: int) -> Callable[[bytes], tuple[int, int] | None]:
    """Width and height at one place."""

    def size(image: bytes) -> tuple[int, int] | None:
        end = at + struct.calcsize(form)
        if len(image) < end:
            return None
        width, height = map(abs, struct.unpack(form, image[at:end]))
        return height, width

    return size


_SIZES: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "JPEG": _jpeg,
    "PNG": _fixed(">II", 16),
    "GIF": _fixed("<HH", 6),
    "BMP": _fixed("<ii", 18),
}


@functools.cache
def _decoder() -> Callable[[bytes], str | None]:
    """Decodes as models do, in a graph of its own: it takes no GPU of who trains or scores."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # not a line for each bad image
    with quiet(), without_keras():
        import tensorflow as tf
    v1, graph = tf.compat.v1, tf.Graph()
    with graph.as_default():
        image = v1.placeholder(tf.string, [])
        decoded = tf.size(tf.io.decode_image(image, channels=3, expand_animations=False))
    config = v1.ConfigProto(
        device_count={"GPU": 0}, intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )
    session = v1.Session(graph=graph, config=config)

    def said(content: bytes) -> str | None:
        try:
            session.run(decoded, {image: content})
        except tf.errors.OpError as error:
            return _telling(str(error.message))
        return None

    return said


def _telling(message: str) -> str:
    """The line of TensorFlow's error that says what happened: the one before the op's place."""
    lines = [line.strip() for line in message.split("[[")[0].splitlines() if line.strip()]
    return (lines[-1] if lines else "unknown reason")[:200]
