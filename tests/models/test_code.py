"""Which code of the user's a training runs, found without running it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfspark.models.code import code_of, module_of

FILES = {
    "net_home/__init__.py": "",
    "net_home/deep/__init__.py": "from .parts import *",
    "net_home/deep/parts.py": "WIDTH = 4",
    "net_home/deep/net.py": "from . import parts\nimport net_beside as other\nimport numpy, json",
    "net_home/unused.py": "",
    "net_beside.py": "def late():\n    import net_late\n    __import__('net_named')",
    "net_space/in/ner/parts.py": "from . import other",
    "net_space/in/ner/other.py": "",
    "net_late.py": "import importlib\nimportlib.import_module('net_asked')",
    "net_asked.py": "import net_beside, tfspark.config, no_such_module",
    "net_named.py": "this is no Python",
    "net_stranger.py": "",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("net_")]:
        del sys.modules[name]


def test_all_that_a_module_imports_counts(home: Path) -> None:
    before = code_of("net_home.deep.net:build", "model.builder")
    assert set(before) == {
        "net_home",
        "net_home.deep",
        "net_home.deep.net",
        "net_home.deep.parts",
        "net_beside",
        "net_late",
        "net_asked",
        "net_named",
    }
    assert not any(name.startswith("net_") for name in sys.modules), "nothing was run"
    (home / "net_asked.py").write_text("X = 1")
    (home / "net_home/unused.py").write_text("X = 1")
    after = code_of("net_home.deep.net:build", "model.builder")
    assert {name for name in before if before[name] != after[name]} == {"net_asked"}
    folders = code_of("net_space.in.ner.parts:build", "model.builder")
    assert set(folders) == {"net_space.in.ner.parts", "net_space.in.ner.other"}
    assert code_of("tfspark.models.structured:mlp", "model.builder") == {}


def test_a_module_is_the_one_of_its_file_as_it_is_now(home: Path) -> None:
    """In a process that has imported it before; parts that it took from others as well."""
    (home / "net_home/deep/net.py").write_text("from .parts import WIDTH")
    first = module_of("net_home.deep.net:build")
    assert first.WIDTH == 4
    assert module_of("net_home.deep.net:build") is first
    (home / "net_home/deep/parts.py").write_text("WIDTH = 8")
    assert module_of("net_home.deep.net:build").WIDTH == 8
