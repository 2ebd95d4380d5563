"""What the site of docs/ has beyond the pages: README, changes, contributing; links that lead out.

Hooks of mkdocs. The pages are written for whoever reads them beside the code; a link to a file of
the code is plain text on the site.
"""

import os
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
MORE = {"README.md": "index.md", "CHANGELOG.md": "changes.md", "CONTRIBUTING.md": "contributing.md"}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]+`(?!\])", re.M | re.S)
_DRAWN = re.compile(r"^```mermaid\n.*?^```\n", re.M | re.S)


def on_files(files, config):
    for name, page in MORE.items():
        text = (ROOT / name).read_text("utf-8")
        files.append(File.generated(config, page, content=_DRAWN.sub("", text)))
    return files


def on_page_markdown(markdown, page, config, files):
    origin = next((name for name, to in MORE.items() if to == page.file.src_uri), None)
    place = ROOT / (origin or f"docs/{page.file.src_uri}")
    here = Path(page.file.src_uri).parent
    parts, at = [], 0
    for code in _CODE.finditer(markdown):
        parts += [_linked(markdown[at : code.start()], place, here), code.group()]
        at = code.end()
    return "".join([*parts, _linked(markdown[at:], place, here)])


def _linked(text, place, here):
    def replaced(found):
        image, said, target = found.groups()
        path, mark, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return found.group()
        full = Path(os.path.normpath(place.parent / path))
        if not full.is_relative_to(ROOT):
            return found.group()
        name = full.relative_to(ROOT).as_posix()
        if name in MORE:
            to = MORE[name]
        elif name.startswith("docs/"):
            to = name.removeprefix("docs/")
        else:
            return said if full.exists() else found.group()
        return f"{image}[{said}]({os.path.relpath(to, here)}{mark}{anchor})"

    return _LINK.sub(replaced, text)
