"""Pictures of a night's page for the docs, by a headless Chromium, at two widths.

make demo && python scripts/night_shots.py
python scripts/night_shots.py warehouse/nights/passengers/2026-11-20.html --to docs
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

SIZES = {"wide": (1000, 1250), "narrow": (390, 1250)}
MOST_BYTES = 150_000
_COLOURS = 64


def main(argv: list[str] | None = None) -> int:
    """Write `night-wide.png` and `night-narrow.png`. See --help."""
    parser = argparse.ArgumentParser(prog="python scripts/night_shots.py", description=__doc__)
    parser.add_argument("page", nargs="?", type=Path, help="default: the demo's newest night")
    parser.add_argument("--to", type=Path, default=Path("docs"), metavar="FOLDER")
    given = parser.parse_args(argv)
    page = given.page or max(Path("warehouse/nights/passengers").glob("2*.html"), default=None)
    if page is None or not page.exists():
        print(f"{page or 'warehouse/nights/passengers'}: no page; run `make demo` first")
        return 1
    for name, size in SIZES.items():
        path = shoot(page, given.to / f"night-{name}.png", size)
        print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


def shoot(page: Path, path: Path, size: tuple[int, int]) -> Path:
    """The upper part of a page as a small PNG.

    Raises:
        RuntimeError: it is too large for the docs.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        command += [f"--window-size={size[0]},{size[1]}", f"--screenshot={folder}/shot.png"]
        asked = [*command, page.absolute().as_uri()]
        subprocess.run(asked, check=True, capture_output=True, timeout=120)
        with Image.open(f"{folder}/shot.png") as shot:
            shot.convert("RGB").quantize(_COLOURS).save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise RuntimeError(f"{path}: {path.stat().st_size:,} bytes, at most {MOST_BYTES:,}")
    return path


if __name__ == "__main__":
    sys.exit(main())
