"""What the name of a file says: whether it is an image, and its label."""

from __future__ import annotations

ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp")
"""Of files that are taken for images, in any case; what is in them is looked at later."""
_OTHER = (".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2")
"""Of images that no model decodes: they are bad rows, not files that are left out."""
_SYSTEM = ("thumbs.db", "desktop.ini", "__macosx")


def is_hidden(name: str) -> bool:
    """Whether a file is none of the user's: `.name`, or what systems put beside images."""
    return any(part.startswith(".") or part.lower() in _SYSTEM for part in name.split("/"))


def is_image(name: str) -> bool:
    """Whether a file is taken for an image."""
    return name.lower().endswith(ENDINGS + _OTHER)


def label_of(name: str) -> str | None:
    """The folder that a file lies in; None: in none."""
    folders = name.split("/")[:-1]
    return folders[-1] if folders else None
