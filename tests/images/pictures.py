"""Small images as people have them, good and bad."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image as Pil

SIDE = 12


def encoded(number: int, form: str = "JPEG", mode: str = "RGB", side: int = SIDE) -> bytes:
    """A picture that is bright above (even numbers) or below."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 90, (side, side + 4, 3), dtype="uint8")
    half = slice(side // 2) if number % 2 == 0 else slice(side // 2, None)
    pixels[half] += 150
    file = io.BytesIO()
    Pil.fromarray(pixels).convert(mode).save(file, form)
    return file.getvalue()


FORMS = {
    "color.jpg": ("JPEG", "RGB"),
    "grey.jpg": ("JPEG", "L"),
    "print.jpg": ("JPEG", "CMYK"),
    "color.png": ("PNG", "RGB"),
    "grey.png": ("PNG", "L"),
    "alpha.png": ("PNG", "RGBA"),
    "grey alpha.png": ("PNG", "LA"),
    "palette.png": ("PNG", "P"),
    "palette.gif": ("GIF", "P"),
    "color.bmp": ("BMP", "RGB"),
    "alpha.bmp": ("BMP", "RGBA"),
}


def good(count: int) -> dict[str, bytes]:
    """Of two labels in turn, every form among them."""
    found = {}
    for number in range(count):
        name, (form, mode) = list(FORMS.items())[number % len(FORMS)]
        label = ("airplane", "automobile")[number % 2]
        found[f"{label}/{number} {name}"] = encoded(number, form, mode)
    return found


def bad() -> dict[str, tuple[bytes, str]]:
    """Name → bytes, and what is said of them."""
    jpeg, png = encoded(1), encoded(1, "PNG")
    huge = png[:16] + (60_000).to_bytes(4, "big") * 2 + png[24:]
    torn = bytearray(png)
    torn[len(png) // 2] ^= 0xFF
    return {
        "airplane/empty.jpg": (b"", "image: is empty, 0 bytes"),
        "airplane/text.jpg": (b"hello\nworld", "it begins with hello\\x0aworld"),
        "airplane/cut.jpg": (jpeg[: len(jpeg) // 2], "image: is a JPEG that is cut off"),
        "airplane/end.jpg": (jpeg[:-2], "image: is a JPEG that is cut off"),
        "airplane/cut.png": (png[:20], "image: is a PNG that is cut off: 20 bytes"),
        "airplane/torn.png": (bytes(torn), "image: is a PNG that cannot be decoded: Invalid PNG"),
        "airplane/huge.png": (huge, "image: is 60000 x 60000 pixels, more than 50,000,000"),
        "airplane/web.jpg": (encoded(1, "WEBP"), "image: is WebP, not JPEG"),
        "airplane/scan.tif": (encoded(1, "TIFF"), "image: is TIFF, not JPEG"),
        "top.jpg": (jpeg, "label: null"),
    }


def zipped(path: Path, files: Iterable[tuple[str, bytes]], packed: bool = True) -> Path:
    """A zip; a name may be there twice."""
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return path


def folder(path: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    for name, content in files:
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return path
