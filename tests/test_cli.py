import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tfspark import errors
from tfspark.cli import COMMANDS, guarded, main
from tfspark.config import load_settings
from tfspark.console import Steps, print_summary


def leaves(value: object, path: str = "") -> list[str]:
    if not isinstance(value, dict) or not value:
        return [path]
    return [x for k, v in value.items() for x in leaves(v, f"{path}.{k}".lstrip("."))]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_names_every_setting(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(command, ["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    settings = load_settings().model_dump()
    settings.pop("spark")
    for setting in leaves(settings):
        assert f"--{setting} " in text or setting in COMMANDS[command].short.values(), setting


def test_dry_run_prints_the_effective_settings(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "t.yaml"
    config.write_text("name: t\nsource: {format: jdbc, options: {url: x, password: hunter2}}\n")
    monkeypatch.setenv("TFSPARK_SCORE__PLAN", "pandas")
    flags = ["--config", str(config), "--keep", "a,b", "--conf", "spark.executor.memory=2g"]
    flags += ["--score.inputs", "{features: [f0, f1]}", "--date", "2026-11-20", "--dry-run"]
    assert main("score", flags) == 0
    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    values = yaml.safe_load(shown)
    assert values["score"]["keep"] == ["a", "b"]
    assert values["score"]["plan"] == "pandas"
    assert values["score"]["inputs"] == {"features": ["f0", "f1"]}
    assert values["spark"] == {"spark.executor.memory": "2g"}
    assert values["date"] == "2026-11-20"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--conf", "executor.memory=2g"], "is not spark.NAME=VALUE"),
        (["--date", "yesterday"], "date: "),
        (["--config", "nowhere.yaml"], "nowhere.yaml: there is no such configuration file"),
    ],
)
def test_wrong_arguments_are_configuration_errors(
    flags: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("score", flags) == 2
    assert says in capsys.readouterr().err


def test_an_unknown_flag_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("score", ["--modle", "x"]) == 2
    assert "command line: --modle: unknown setting" in capsys.readouterr().err


def test_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(None, []) == 0
    shown = capsys.readouterr().out
    assert "prepare" in shown
    assert "tfrecord  look into TFRecord" in shown
    assert main(None, ["scoer"]) == 2
    assert "no command 'scoer'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ContractViolation("x"), 3),
        (errors.SourceMissing("x"), 75),
        (OSError(28, "No space left on device", "/table"), 6),
        (KeyboardInterrupt(), 130),
        (ValueError("x"), 1),
    ],
)
def test_every_error_has_its_exit_code(error: BaseException, code: int) -> None:
    def fail() -> int:
        raise error

    assert guarded("job", fail) == code


def test_steps_are_json_lines_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFSPARK_LOG", "json")
    steps = Steps("score", run_id="r")
    with steps.step("count") as info:
        info["rows"] = 3
    with pytest.raises(ValueError, match="no"), steps.step("fails"):
        raise ValueError("no")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["step"]) for line in lines] == [
        ("start", "count"),
        ("done", "count"),
        ("start", "fails"),
        ("failed", "fails"),
    ]
    assert lines[1]["rows"] == 3
    assert lines[1]["run_id"] == "r"


def test_steps_are_words_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFSPARK_LOG", "text")
    steps = Steps("score")
    with steps.step("count", rows=1234567):
        pass
    print_summary("done", {"rows_in": 10, "nothing": None, "rate": 0.25})
    out = capsys.readouterr()
    assert "✓ count" in out.err
    assert "rows 1,234,567" in out.err
    assert out.out == "\ndone\n  rows in  10\n  rate     0.25\n"


def test_importing_the_package_imports_neither_spark_nor_tensorflow() -> None:
    code = (
        "import sys, tfspark; heavy = ('pyspark', 'tensorflow', 'pandas', 'mlflow'); "
        "print(sorted(name for name in heavy if name in sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == "[]"


def test_the_public_names_are_these() -> None:
    import tfspark

    assert tfspark.__all__ == [
        *("Segments", "__version__", "explain", "score", "score_stream", "score_table"),
        *("score_udf", "spark_session"),
    ]
    for name in tfspark.__all__:
        assert getattr(tfspark, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'scroe'"):
        _ = tfspark.scroe


def test_jobs_are_thin() -> None:
    for job in (ROOT / "jobs").glob("*.py"):
        assert len(job.read_text().splitlines()) <= 8, job
