"""`spec/staging.yaml`: who owns a staging folder and when it is removed, on both sides."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.errors import IntegrityError
from tfspark.storage.staging import abandoned, new_staging

SPEC = yaml.safe_load((ROOT / "spec" / "staging.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def pids() -> dict[str, int]:
    with subprocess.Popen(["true"]) as ended:
        pass
    return {"own": os.getpid(), "ended": ended.pid}


@pytest.mark.parametrize("case", SPEC["cases"], ids=lambda case: str(case["name"]))
def test_who_removes_it(case: dict[str, Any], pids: dict[str, int], tmp_path: Path) -> None:
    folder = tmp_path / SPEC["folder"] / "score-t-0123456789ab"
    folder.mkdir(parents=True)
    if owner := case["owner"]:
        host = socket.gethostname() if owner["host"] == "here" else owner["host"]
        pid = pids.get(owner["pid"], owner["pid"])
        times = {k: time.time() + owner[k] for k in ("since", "renewed") if k in owner}
        told = owner | {"host": host, "pid": pid} | times
        (folder / SPEC["owner"]).write_text(json.dumps(told))
    assert abandoned(str(tmp_path), "score-t") == ([str(folder)] if case["abandoned"] else [])
    assert abandoned(str(tmp_path), "score-u") == []
    new_staging(str(tmp_path), "score-t")
    assert folder.exists() != case["abandoned"]


@pytest.mark.parametrize("case", SPEC["damaged"], ids=lambda case: str(case["note"]))
def test_a_damaged_note(case: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / SPEC["folder"] / "score-t-0123456789ab" / SPEC["owner"]
    file.parent.mkdir(parents=True)
    file.write_text(case["note"])
    with pytest.raises(IntegrityError) as caught:
        new_staging(str(tmp_path), "score-t")
    assert str(caught.value).replace(str(file), "FILE") == case["says"]
    assert file.exists()


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    folder = Path(new_staging(str(tmp_path), "score-t"))
    assert folder.parent == tmp_path / SPEC["folder"]
    assert re.fullmatch(f"score-t-{SPEC['name']}", folder.name)
    told = json.loads((folder / SPEC["owner"]).read_text())
    assert set(SPEC["fields"]) <= set(told) <= {*SPEC["fields"], *SPEC["more"]}
    assert (told["host"], told["pid"]) == (socket.gethostname(), os.getpid())
    assert abs(told["since"] - time.time()) < 600
