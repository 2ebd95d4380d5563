"""The benchmarks are run by hand: here they are only held together."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT


def test_every_module_of_the_benchmarks_imports() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "bench").rglob("*.py"))
        if path.stem not in ("__init__", "__main__")
    ]
    ended = subprocess.run(
        [sys.executable, "-c", "".join(f"import {module}\n" for module in modules)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
