"""The site of docs/: every link resolves, nothing is loaded from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import ROOT

WIDTHS = ("390,844", "1280,900")


class Loads(HTMLParser):
    """What a browser asks for when it opens a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.asked.append(given.get("href") or "")
        elif tag != "a":
            self.asked += filter(None, (given.get("src"), given.get("data")))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    to = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--strict",
        "--site-dir",
        str(to),
    ]
    env = {"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1", "HOME": str(to)}
    built = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return to


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if page.name != "404.html"]  # a server's
    assert {"index.html", "setup.html", "from-tensorflow.html"} <= {page.name for page in pages}
    for page in pages:
        for asked in Loads(page.read_text("utf-8")).asked:
            assert not re.match(r"(?:[a-z]+:)?//", asked), f"{page.name}: {asked}"
            if not asked.startswith("data:"):
                assert (page.parent / asked.partition("?")[0]).exists(), f"{page.name}: {asked}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text("utf-8"))


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_shows_it(site: Path, tmp_path: Path, width: str) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width}"]
    command += [f"--user-data-dir={tmp_path}/profile", "--host-resolver-rules=MAP * ~NOTFOUND"]
    for page in ("index", "from-tensorflow"):
        shot = tmp_path / f"{page}.png"
        url = (site / f"{page}.html").as_uri()
        subprocess.run([*command, f"--screenshot={shot}", url], check=True, timeout=120)
        assert shot.stat().st_size > 10_000
