"""Without Horovod, Petastorm and Optuna all else is there; who needs one says how to get it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import ROOT
from tfspark.config import Distributed, Settings
from tfspark.errors import ConfigError
from tfspark.training.ranks.launch import launch
from tfspark.training.ranks.world import join_ranks
from tfspark.training.readers.petastorm import PetastormSource
from tfspark.tuning.study import Study

# Parts of Horovod's server, made ours: nothing imports it where there is no Horovod.
OF_HOROVOD = "tfspark.training.ranks.rendezvous"
IMPORT_ALL = f"""
import pkgutil, sys, warnings
from importlib import import_module

# Old names are there to warn.
warnings.filterwarnings("ignore", "the module tfspark", DeprecationWarning)

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"petastorm", "horovod", "optuna", "tensorboard", "psutil",
                                       "starlette", "uvicorn", "ai_edge_litert",
                                       "setuptools", "pkg_resources", "distutils"}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
import tfspark
for module in pkgutil.walk_packages(tfspark.__path__, "tfspark."):
    if module.name.rpartition(".")[2] != "__main__" and module.name != {OF_HOROVOD!r}:
        import_module(module.name)
        print(module.name)
"""


def test_all_modules_are_imported_without_them() -> None:
    command = [sys.executable, "-W", "error", "-c", IMPORT_ALL]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    files = [file for file in (ROOT / "tfspark").rglob("*.py") if file.name[:2] != "__"]
    assert len(ran.stdout.split()) >= len(files) - 1


@pytest.mark.parametrize(
    ("package", "ask", "how"),
    [
        (
            "horovod",
            lambda: launch({}, Distributed(ranks=2), lambda report: None),
            "distributed.ranks above 1 needs horovod, which is not installed: "
            "`make setup` builds it; Python 3.11 only (docs/setup.md)",
        ),
        (
            "petastorm",
            lambda: PetastormSource({}),
            "reader petastorm needs petastorm, which is not installed: "
            "install tfspark[petastorm]; Python 3.11 only",
        ),
        (
            "optuna",
            lambda: Study(Settings(name="x"), None),  # type: ignore[arg-type]
            "tune needs optuna, which is not installed: install tfspark[train]",
        ),
    ],
)
def test_what_is_missing_is_said(
    package: str,
    ask: Callable[[], object],
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError) as caught:
        ask()
    assert str(caught.value) == how


def test_a_rank_without_horovod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "horovod", None)
    with pytest.raises(ConfigError, match="several ranks needs horovod, which is not installed"):
        join_ranks()
