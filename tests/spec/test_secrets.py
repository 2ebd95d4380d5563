"""`spec/secrets.yaml`: what looks like a secret is shown nowhere; on both sides."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tfspark import errors
from tfspark.cli import guarded, main
from tfspark.console import Steps, print_summary, printable
from tfspark.errors import StorageError, TfsparkError
from tfspark.mask import SENSITIVE, mask_text
from tfspark.session import _UNLESS_SET

SPEC = yaml.safe_load((ROOT / "spec" / "secrets.yaml").read_text("utf-8"))
CANARY = "CANARY"


def test_no_option_is_shown_unless_its_name_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = {k: v for k, v in SPEC["shown"].items() if not k.startswith("spark")}
    spark = {k: v for k, v in SPEC["shown"].items() if k.startswith("spark")}
    options = SPEC["options"] | {f"x{i}": text for i, text in enumerate(SPEC["texts"])} | shown
    file = tmp_path / "t.yaml"
    told = {
        "source": {"options": options, "path": SPEC["texts"][0]},
        "stream": {"options": options},
        "spark": SPEC["settings"] | spark,
    }
    file.write_text(json.dumps(told))
    flags = [f"--conf={name}={value}" for name, value in SPEC["settings"].items()]
    assert main("score", ["--config", str(file), "--dry-run", *flags]) == 0
    said = capsys.readouterr().out
    assert CANARY not in said
    found = yaml.safe_load(said)
    assert {k: v for k, v in found["source"]["options"].items() if v != "***"} == shown
    assert {k: v for k, v in found["spark"].items() if v != "***"} == spark


@pytest.mark.parametrize("text", SPEC["texts"])
def test_a_text_with_a_secret(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CANARY not in mask_text(text)
    assert mask_text(mask_text(text)) == mask_text(text)
    for kind in (getattr(errors, name) for name in errors.__all__):
        assert CANARY not in str(kind(f"x: {text}"))

    def fails(error: Exception) -> int:
        raise error

    assert guarded("score", lambda: fails(StorageError(text))) == 6
    assert guarded("score", lambda: fails(ValueError(text))) == 1
    for form in ("json", "plain"):
        monkeypatch.setenv("TFSPARK_LOG", form)
        steps = Steps("score")
        steps.note(text)
        with steps.step("read", source=text, nested={"password": CANARY}) as info:
            info["more"] = [text]
    print_summary("score: done", {"table": text})
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err
    assert "***" in said.err


@pytest.mark.parametrize("text", SPEC["plain"])
def test_a_text_without_one_stays(text: str) -> None:
    assert str(TfsparkError(text)) == text


def test_spark_hides_the_same_names() -> None:
    lines = (ROOT / "conf" / "spark-defaults.conf").read_text().splitlines()
    (of_jobs,) = (line.split(None, 1)[1] for line in lines if line.startswith("spark.redaction"))
    assert of_jobs == _UNLESS_SET["spark.redaction.regex"] == f"(?i){SENSITIVE}"
    assert "\\" not in of_jobs  # a file of properties would take it for an escape


@pytest.mark.parametrize("flags", [["--source.options", "{pin: CANARY"], ["--conf", "pin=CANARY"]])
def test_what_a_flag_says_is_not_repeated(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("score", flags) == 2
    assert CANARY not in capsys.readouterr().err


@pytest.mark.parametrize(("text", "shown"), SPEC["controls"])
def test_nothing_controls_the_screen(
    text: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printable(text) == shown
    monkeypatch.setenv("TFSPARK_LOG", "plain")
    Steps("score").note(text)
    print_summary("score: done", {"table": text})
    said = capsys.readouterr()
    assert said.err == f"    {shown}\n"
    assert said.out == f"\nscore: done\n  table  {shown}\n"


@pytest.mark.parametrize("part", ["token", "://a:", "jdbc:oracle:thin:a/b", "pwd=\\", "&x-a", '"a'])
def test_no_text_takes_long(part: str) -> None:
    """Without bounds these take minutes."""
    began = time.monotonic()
    mask_text(part * 20_000)
    assert time.monotonic() - began < 60
