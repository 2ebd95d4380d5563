import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark import console, errors
from tfspark.cli import _parser, guarded, main
from tfspark.commands import COMMANDS, COMMON, OTHERS, settings, spellings
from tfspark.config import load_settings
from tfspark.console import Steps, print_summary
from tfspark.quiet import jvm_filtered
from tfspark.scoring import StreamSummary
from tfspark.training.make import Reports


def leaves(value: object, path: str = "") -> list[str]:
    if not isinstance(value, dict) or not value:
        return [path]
    return [x for k, v in value.items() for x in leaves(v, f"{path}.{k}".lstrip("."))]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_is_one_screen_and_help_all_names_every_setting(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command, ["--help"]) == 0
    own = capsys.readouterr().out
    assert len(own.splitlines()) <= 40
    assert max(map(len, own.splitlines())) <= 120
    assert main(command, ["--dry-run", "-h", "all"]) == 0
    text = capsys.readouterr().out
    settings = load_settings().model_dump()
    settings.pop("spark")
    for setting in leaves(settings):
        assert f"--{setting} " in text, setting
    for flag, setting in COMMANDS[command].short.items():
        assert f"{flag}, --{setting} " in text
        assert f"  {flag} " in own
    for setting in COMMANDS[command].own:
        assert f"  --{setting} " in own
    # The examples that it gives.
    assert main(command, ["--training.epochs", "5", "--config", "conf/x.yaml", "--dry-run"]) == 2
    assert "conf/x.yaml: there is no such" in capsys.readouterr().err


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
    for command, flags in (
        ("score", ["--modle", "x"]),
        ("query", ["--tables", "x"]),
        ("contract", ["a.yaml", "--helps"]),
        ("tfrecord", ["head", "x", "--row", "3"]),
        ("cache", ["list", "--x"]),
        ("registry", ["sqlite:///x", "--x"]),
        ("serve", ["m", "--ports", "1"]),
        ("export", ["m", "--to", "keras", "--out", "o", "--x"]),
        ("demo", ["--x"]),
    ):
        assert main(command, flags) == 2
        said = capsys.readouterr().err
        flag = next(flag for flag in flags if flag.startswith("--"))
        assert f"command line: {flag}: unknown setting" in said
        assert len(said.strip().splitlines()) == 1
    assert main("query", ["conf/x.yaml"]) == 2
    assert "--config conf/x.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["query", "--engine", "mysql", "--table", "t"], "--engine: invalid choice: 'mysql'"),
        (["query", "--table", "t", "--limit", "-1"], "--limit: must be a whole number"),
        (["query", "--table", "t", "--day", "20/11/2026"], "--day: must be a date, YYYY-MM-DD"),
        (["query", "--table", "t", "--order-by"], "--order-by: needs a value"),
        (["contract"], "arguments are required: file"),
        (["tfrecord"], "arguments are required: COMMAND"),
        (["tfrecord", "look", "x"], "invalid choice: 'look'"),
        (["tfrecord", "head", "x", "--rows", "0"], "--rows: 0: must be a whole number, at least 1"),
        (["cache", "drop"], "invalid choice: 'drop'"),
        (["registry"], "arguments are required: uri"),
        (["serve"], "arguments are required: MODEL"),
        (["export", "m", "--out", "o"], "arguments are required: --to"),
        (["export", "m", "--to", "onnx", "--out", "o"], "--to: invalid choice: 'onnx'"),
        (["demo"], "conf/passengers.yaml is not here"),
        (["train", "conf/x.yaml"], "--config conf/x.yaml"),
        (["score", "--log", "loud"], "--log: must be plain, json or auto"),
        (["predict"], "no command 'predict' (did you mean score?)"),
        (["trains"], "no command 'trains' (did you mean train?)"),
    ],
)
def test_a_mistake_is_one_message(
    argv: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(None, argv) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    from tfspark import __version__

    assert main(None, ["--version"]) == 0
    assert capsys.readouterr().out == f"tfspark {__version__}\n"


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
    monkeypatch.setenv("TFSPARK_LOG", "json")
    steps = Steps("score", form="plain")  # the flag before the variable
    with steps.step("count", rows=1234567):
        pass
    print_summary("done", {"rows_in": 10, "nothing": None, "rate": 0.25})
    out = capsys.readouterr()
    assert re.fullmatch(r"  ✓ count +0\.0 s   rows 1,234,567\n", out.err)
    assert out.out == "\ndone\n  rows in  10\n  rate     0.25\n"


def test_a_notebook_gets_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TFSPARK_LOG", raising=False)
    assert Steps("x").form == "json"
    monkeypatch.setenv("JPY_PARENT_PID", "1")  # `!tfspark score ...`
    assert Steps("x").form == "plain"
    monkeypatch.delenv("JPY_PARENT_PID")
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    assert Steps("x").form == "plain"


@pytest.mark.parametrize("form", ["json", "plain"])
def test_a_long_step_says_how_far_it_is(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_TICK", 0.01)
    monkeypatch.setattr(console, "_EVERY", {"json": 0.0, "plain": 0.0})
    seen = threading.Event()
    found = iter([None, (0, 8), (2, 8)])

    def tasks() -> tuple[int, int] | None:
        try:
            return next(found)
        except StopIteration:
            seen.set()
            return None

    steps = Steps("score", form=form)
    steps.tasks = tasks
    with steps.step("score", of=1_000_000, rate=True) as info:
        assert seen.wait(60)
        time.sleep(0.1)
        info["rows"] = 1_000_000
    said = capsys.readouterr().err
    if form == "plain":
        assert re.search(r"^    score: 0 of 8$", said, re.M)
        assert re.search(
            r"score: 250,000 of 1,000,000   rows per second [\d,]+, seconds left", said
        )
        assert re.search(r"✓ score .* rows 1,000,000, rows per second [\d,]+$", said, re.M)
        return
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["event"] for line in lines] == ["start", "progress", "progress", "done"]
    assert (lines[1]["tasks"], lines[1]["of_tasks"]) == (0, 8)
    assert (lines[2]["rows"], lines[2]["of"]) == (250_000, 1_000_000)
    assert lines[2]["rows_per_second"] > 0
    assert lines[2]["seconds_left"] >= 0
    assert lines[3]["rows_per_second"] > 0


def test_a_training_names_its_batch(capsys: pytest.CaptureFixture[str]) -> None:
    """`step` is the name of a step, in every line."""
    steps = Steps("train", form="json")
    steps._progressed -= 60
    report = {"kind": "progress", "epoch": 1, "epochs": 3, "step": 316, "steps": 400}
    Reports(steps, lambda curves: None)(report)
    line = json.loads(capsys.readouterr().err)
    assert (line["step"], line["epoch"], line["batch"]) == ("fit", 1, 316)


def test_a_summary_is_a_table() -> None:
    told: dict[str, Any] = {"batches": 3, "rows_in": 12345}
    summary = StreamSummary("<source>", "t", "m", "1", "d", "r", **told)
    assert re.search(r"^  rows in +12,345$", repr(summary), re.M)
    html = summary._repr_html_()
    assert "<tr><th>rows in</th><td>12,345</td></tr>" in html
    assert "&lt;source&gt;" in html


def test_a_jvm_writes_no_lines_of_its_start(capfd: pytest.CaptureFixture[str]) -> None:
    lines = [
        "WARNING: Using incubator modules: jdk.incubator.vector",
        "one",
        'Setting default log level to "WARN".',
        "I0000 00:00:17 1 port.cc:153] oneDNN custom operations are on. You may see slightly",
        "E0000 00:00:17 1 cuda_executor.cc:1228] failed call to cuInit: UNKNOWN ERROR (303)",
        "two",
    ]
    with jvm_filtered():
        writes = f"import sys; sys.stderr.write({chr(10).join(lines)!r} + chr(10))"
        subprocess.run([sys.executable, "-c", writes], check=True)
    said, until = "", time.monotonic() + 60
    while "two" not in said and time.monotonic() < until:
        said += capfd.readouterr().err
    assert said == "one\ntwo\n"


def test_commands_in_pages_and_messages_are_there() -> None:
    """What stands between backticks; the blocks of pages are run by test_docs_blocks."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    sources = [*(ROOT / "tfspark").rglob("*.py"), *(ROOT / "interop" / "src").rglob("*.scala")]
    found = set()
    for file in [*pages, *sources]:
        for command in re.findall(
            r"`(?:python -m )?tfspark ([a-z][^`]*)`", file.read_text("utf-8")
        ):
            name, *rest = re.sub(r"\s+", " ", command).split(" ")
            found.add(name)
            assert name in {*COMMANDS, *OTHERS}, f"{file}: {command}"
            if name in COMMANDS:
                _parser(name).parse(rest)
    assert len(found) > 5


OF_OTHERS = {
    *("--class", "--jars", "--packages", "--properties-file", "--py-files"),  # spark-submit
    *("--backend-store-uri", "--logdir", "--model_base_path", "--porcelain"),
}


def test_flags_in_messages_are_there() -> None:
    sources = {f: f.read_text("utf-8") for f in (ROOT / "tfspark").rglob("*.py")}
    known = {flag.split()[0] for flag in COMMON} | {"--help", "--version"} | OF_OTHERS
    for text in sources.values():
        known |= set(re.findall(r'add_argument\(\s*"(--[\w.-]+)"', text))
    for command in COMMANDS.values():
        known |= {flag for path, _ in settings() for flag in spellings(command, path)}
        known |= {flag.split()[0] for flag in command.asks}
    known.add("--epochs")  # of no command: an example of a slip
    for file, text in sources.items():
        for flag in re.findall(r"(?<![\w-])--[a-z][\w.-]*\w", text):
            assert flag in known, f"{file}: {flag}"


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
