"""The page of a night: what it says, how large it is, and that nothing in it runs or is loaded."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from jinja2 import UndefinedError

from tests.conftest import ROOT
from tests.page.nights import EVIL, record
from tfspark.page import write_card, write_index, write_night
from tfspark.page.index import NEWEST
from tfspark.page.night import MOST_BYTES, night_page
from tfspark.page.render import _environment, render

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Read(HTMLParser):
    """What a browser would make of it: tags, attributes, texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def check(self) -> None:
        assert {"script", "iframe", "img", "link", "object", "form", "base"}.isdisjoint(
            tag for tag, _ in self.tags
        )
        for tag, attributes in self.tags:
            assert not [name for name in attributes if name.startswith("on")], tag
            assert "src" not in attributes
            assert re.fullmatch(r"[A-Za-z0-9./_-]*", attributes.get("href") or ""), attributes
        assert [one for tag, one in self.tags if tag == "meta"][1]["content"].startswith(CSP)


def test_a_page_says_the_verdict_first_and_runs_nothing() -> None:
    page = night_page(record())
    assert len(page.encode()) < 100_000
    read = Read(page)
    read.check()
    order = ["Yellow", "What to do.", "rows in", "Drift", "How right it was", "Challenger", "Steps"]
    places = [read.text.index(word) for word in order]
    assert places == sorted(places)
    assert EVIL in read.text  # as text
    assert "<script" not in page.lower()
    assert "x" * 81 not in page
    assert "שלום עולם" in read.text
    assert "in 4 of 5 nights" in read.text


@pytest.mark.parametrize("verdict", ["green", "red", "", "purple"])
def test_every_verdict_has_a_word(verdict: str) -> None:
    word = {"green": "✓ Green", "red": "✕ Red"}.get(verdict, "– No verdict")
    assert word in Read(night_page(record(verdict))).text


def _hollow(value: Any) -> list[Any]:
    """A record with each of its parts taken out or replaced by something else, in turn."""
    return [
        {**value, key: instead}
        for key in value
        if key not in ("name", "date")
        for instead in (None, [], 3, [None], {"x": None})
    ]


def test_a_page_is_made_of_whatever_is_there() -> None:
    Read(night_page({})).check()
    for one in _hollow(record()):
        night_page(one)
    for part in ("watch", "labels", "gate"):
        for one in _hollow({"name": 1, "date": 1, **record()[part]}):
            night_page({**record(), part: one})


def test_nothing_of_a_record_is_markup() -> None:
    def evil(value: Any) -> Any:
        if isinstance(value, dict):
            return {(EVIL if key == "Name" else key): evil(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [evil(inner) for inner in value]
        return EVIL if isinstance(value, str) else value

    page = night_page({**evil(record()), "date": "2026-11-20", "verdict": "red"})
    read = Read(page)
    read.check()
    assert read.text.count("<script>") > 20


def test_a_page_stays_small_whatever_a_night_says() -> None:
    night = record(columns=500)
    night["quarantine_examples"] *= 5_000
    night["message"] = "m" * 1_000_000
    night["steps"][0]["said"] = "s" * 1_000_000
    night["watch"]["columns"] = [
        {
            **one,
            "edges": ["e" * 5_000] * 400,
            "shares_day": [0.1] * 400,
            "shares_reference": [0.1] * 400,
        }
        for one in night["watch"]["columns"]
    ]
    page = night_page(night)
    assert len(page.encode()) <= MOST_BYTES
    assert "more columns" in page


def test_the_index_has_the_newest_nights_and_a_page_a_month(tmp_path: Path) -> None:
    first = dt.date(2026, 11, 20)
    for n in range(NEWEST + 60):
        date = (first - dt.timedelta(days=n)).isoformat()
        path = Path(write_night(record("green", date), str(tmp_path)))
        assert path == tmp_path / "passengers" / f"{date}.html"
        path.with_suffix(".json").write_text(json.dumps(record("green", date)))
    (tmp_path / "passengers" / "2026-11-19.json").write_text("{")
    index = Path(write_index(str(tmp_path)))
    read = Read(index.read_text())
    read.check()
    links = [one["href"] for tag, one in read.tags if tag == "a"]
    assert len(links) == NEWEST + 3
    assert all((tmp_path / str(link)).exists() for link in links)
    assert "90 nights: 89 green" in read.text
    assert "no record" in read.text
    assert len(index.read_bytes()) <= MOST_BYTES
    kept = tmp_path / "index-2026-07.html"
    kept.write_text("as it is")  # of a month that is over nothing is written again
    write_index(str(tmp_path))
    assert kept.read_text() == "as it is"


def test_a_card_says_what_a_version_is_made_of(tmp_path: Path) -> None:
    manifest = {
        "name": "passengers",
        "version": "7",
        "created_at": "2026-11-20T03:00:00+00:00",
        "inputs": {"Age": {"dtype": "float64", "shape": [], "null": "NaN"}, EVIL: {}},
        "outputs": {"probability": {"dtype": "float32", "shape": [1]}},
        "classes": [0, 1],
        "metrics": {"validation": {"auc": 0.87, "rows": 80}, "test": {"auc": 0.85, "rows": 170}},
        "recipe": {
            "model": {"task": "binary", "builder": "tfspark.models.structured:mlp"},
            "features": [{"name": "family", "kind": "bucketize", "column": ["SibSp", "Parch"]}],
        },
        "dataset": {"name": "passengers", "version": 3, "digest": "ab" * 32},
    }
    path = Path(write_card(manifest, str(tmp_path)))
    assert path == tmp_path / "passengers" / "model-7.html"
    read = Read(path.read_text("utf-8"))
    read.check()
    for text in ("A binary model that gives probability of: 0, 1", "0.85", "SibSp, Parch", EVIL):
        assert text in read.text
    for key in manifest:
        if key not in ("name", "version"):
            for instead in (None, [], 3, {"x": None}):
                write_card({**manifest, key: instead}, str(tmp_path))


def test_a_template_that_names_what_is_not_there_fails() -> None:
    assert _environment().autoescape is True
    with pytest.raises(UndefinedError):
        render("night.html", {"title": "x"})


@pytest.mark.browser
def test_a_browser_shows_it_and_asks_for_nothing(tmp_path: Path) -> None:
    path = Path(write_night(record(), str(tmp_path)))
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(path.parent))

        def log_message(self, *_: Any) -> None:
            asked.append(self.path)

    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=390,844"]
    command += [f"--user-data-dir={tmp_path}/profile", "--no-first-run"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    shot = tmp_path / "page.png"
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/{path.name}"
        for more in ("--dump-dom", f"--screenshot={shot}"):
            ended = subprocess.run(
                [*command, more, url], capture_output=True, text=True, timeout=120, check=True
            )
            if more == "--dump-dom":
                assert "&lt;script&gt;alert(1)&lt;/script&gt;" in ended.stdout
                assert "<script" not in ended.stdout
        server.shutdown()
    assert asked == [f"/{path.name}"] * 2
    assert shot.stat().st_size > 10_000


@pytest.mark.browser
def test_the_pictures_of_the_docs_can_be_taken_again(tmp_path: Path) -> None:
    page = write_night(record(), str(tmp_path))
    script = ROOT / "scripts" / "night_shots.py"
    command = [sys.executable, str(script), page, "--to", str(tmp_path)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    for name, width in {"night-wide.png": 1000, "night-narrow.png": 390}.items():
        for path in (tmp_path / name, ROOT / "docs" / name):
            assert path.stat().st_size < 150_000
            assert int.from_bytes(path.read_bytes()[16:20]) == width
