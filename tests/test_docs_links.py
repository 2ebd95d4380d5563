"""Every relative link of README and docs leads to a file, and every anchor to a heading."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CODE = re.compile(r"^(```|~~~).*?^\1 *$|`[^`\n]+`", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)
BLOCK = re.compile(r"^(```|~~~).*?^\1 *$", re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(BLOCK.sub("", page.read_text("utf-8"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    missing = []
    for link in LINK.findall(CODE.sub("`", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    assert broken(page) == []


def test_pages_are_found() -> None:
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {"README.md", "docs/design.md", "docs/contracts/passengers.md"} <= names


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("# One `two`, three\n\n```sh\n# no heading\n```\n\n## Twice\n\n## Twice\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#one-two-three) [b](other.md#twice-1) [c](https://example.com/x.md)\n"
        "[d](gone.md) [e](other.md#no-heading) [f](#here) `[g](gone.md)`\n"
        "\n```\n[h](gone.md)\n```\n"
    )
    assert broken(page) == ["gone.md", "other.md#no-heading", "#here"]


def test_messages_on_their_page_are_said() -> None:
    """The fixed words between backticks that begin a line of docs/messages.md."""
    sources = "".join(p.read_text("utf-8") for p in sorted((ROOT / "tfspark").rglob("*.py")))
    joined = re.sub(r'"\s*f?"', "", sources)
    rows = re.findall(r"^\| (`[^|]*) \|", (ROOT / "docs/messages.md").read_text("utf-8"), re.M)
    said = [words for row in rows for words in re.findall(r"`([^`]+)`", row)]
    assert len(said) > 15
    assert not [words for words in said if words not in joined]
