"""`tfspark doctor`: what it says of this machine, and of machines that lack something."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.sizes import size
from tfspark.cli import main
from tfspark.doctor import child, command, machine, software
from tfspark.doctor.child import ChildError, ask, output
from tfspark.doctor.finding import Finding, Probe, guarded


def only(probe: Probe) -> dict[str, Finding]:
    return {one.name: one for one in guarded("it", probe)}


def program(path: Path, lines: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return str(path)


def test_this_machine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dstore.password=hunter2")
    monkeypatch.setenv("TFSPARK_SOURCE__OPTIONS", '{"password": "hunter2"}')
    told = {"version": "2.21.0", "gpus": [], "cuda": "", "seconds": 1.0}
    monkeypatch.setattr(software, "ask", size(lambda *_: told, soak=ask))  # its import takes long
    code = main("doctor", ["--json"])
    text = capsys.readouterr().out
    said = json.loads(text)
    found = {one["name"]: one for one in said["findings"]}
    assert found["Python"]["state"] == found["TensorFlow"]["state"] == "ok"
    assert {"Java", "Spark", "memory", "this folder", "wall around models"} <= found.keys()
    assert all(one.get("todo") for one in found.values() if one["state"] != "ok")
    assert (code == 0) == said["ok"]
    assert "hunter2" not in text


def test_what_is_wrong_ends_with_2_and_says_what_mends_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[Finding]:
        yield Finding("first", "ok", "there")
        raise RuntimeError("token=hunter2\nmore")

    def wrong() -> Iterator[Finding]:
        yield Finding("second", "bad", "not there", "apt install password=hunter2")

    monkeypatch.setattr(command, "PROBES", {"first": broken, "second": wrong})
    monkeypatch.setattr(
        command, "ask", lambda what, seconds: {"a product": {"CPU:0": 30.0, "GPU:0": 0.5}}
    )
    assert main("doctor", ["--time"]) == 2
    said = capsys.readouterr().out
    assert "✓ first   there\n" in said
    assert "▲ first   cannot be told: RuntimeError: token=***\n" in said
    assert "✗ second  not there\n            → apt install password=***\n" in said
    assert "1 wrong, 1 to look at" in said
    assert "a product: CPU 30 ms, GPU 0.5 ms: 60.0 times as fast" in said
    monkeypatch.setattr(command, "PROBES", {"first": broken})
    assert main("doctor", []) == 0
    assert "all is well, but look at ▲" in capsys.readouterr().out


def test_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def java(lines: str) -> Finding:
        program(tmp_path / "bin" / "java", lines)
        return only(software.java)["Java"]

    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java("echo 'openjdk version \"21.0.8\" 2025' >&2").state == "ok"
    assert java("echo 'java version \"1.8.0_392\"' >&2").said.endswith("Spark needs 17")
    assert "its version" in java("echo 'Picked up: -Dpassword=x' >&2").said
    assert "code 3" in java("exit 3").said
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    found = only(software.java)["Java"]
    assert (found.state, bool(found.todo)) == ("bad", True)
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert "none on the PATH" in only(software.java)["Java"].said


def test_spark_and_its_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", program(tmp_path / "python", "echo 3.8"))
    assert only(software.python)["workers' Python"].state == "bad"
    monkeypatch.setenv("PYSPARK_PYTHON", str(tmp_path / "none"))
    assert "No such file" in only(software.python)["workers' Python"].said
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "spark-core_2.13-3.5.1.jar").touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    found = only(software.spark)
    assert "with Spark 3.5.1" in found["Spark"].said
    assert (found["Spark"].todo, found["Delta's jars"].state) == ("unset SPARK_HOME", "look")
    (tmp_path / "jars" / "delta-spark_4.0_2.13-4.0.0.jar").touch()
    assert only(software.spark)["Delta's jars"].state == "bad"


def test_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup.py").touch()
    lock = tmp_path / "requirements.lock"
    lock.write_text("keras==1.0 \\\n    --hash=x\npyarrow==0.1 ; python_version < '3'\n")
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\ndependencies = ["Keras", "no.such-package>=2", "pyarrow"]\n')
    monkeypatch.setattr(software, "ROOT", tmp_path)
    found = only(software.packages)
    assert found["packages"].said == "missing: no.such-package"
    assert found["packages"].todo == f"cd {tmp_path} && make setup"
    assert "the lock says 1.0" in found["versions"].said
    lock.unlink()  # a wheel: what it asks for
    monkeypatch.setattr(software.metadata, "requires", lambda _: ["numpy<1", "x; extra == 'y'"])
    assert only(software.packages)["versions"].said.startswith("numpy is ")


def test_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"version": "2.21.0", "gpus": [], "cuda": "12.5", "seconds": 1.0}
    monkeypatch.setattr(software, "ask", lambda what, seconds: told)
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert only(software.tensorflow)["GPUs"].todo == "unset CUDA_VISIBLE_DEVICES"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert "tensorflow[and-cuda]==2.21.0" in only(software.tensorflow)["GPUs"].todo
    told["gpus"] = ["NVIDIA X"]
    assert only(software.tensorflow)["GPUs"].said == "NVIDIA X"

    def crashes(what: str, seconds: float) -> None:
        raise ChildError("ended with signal 4: nothing was said")

    monkeypatch.setattr(software, "ask", crashes)
    assert only(software.tensorflow)["TensorFlow"].state == "bad"


def test_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 33554432 kB\nMemAvailable: 16777216 kB\n\n")
    (tmp_path / "cpuinfo").write_text("processor: 0\nflags\t: fpu sse4_2\n")
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("2147483648\n")
    monkeypatch.setattr(machine, "PROC", tmp_path)
    monkeypatch.setattr(machine, "_GROUP", tmp_path)
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    found = only(machine.processor)["processor"]
    assert (found.state, "may use 1.5" in found.said) == ("bad", True)
    assert "may have 2.0 GiB" in only(machine.memory)["memory"].said
    assert only(machine.memory)["memory"].state == "look"
    (tmp_path / "meminfo").unlink()
    assert only(machine.memory)["it"].said.startswith("cannot be told: KeyError")
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "none"))
    found = only(machine.folders)["SPARK_LOCAL_DIRS 1"]
    assert (found.state, found.todo) == ("bad", "export SPARK_LOCAL_DIRS=/another/folder")
    monkeypatch.delenv("SPARK_LOCAL_IP", raising=False)

    def nobody(what: str, seconds: float) -> None:
        raise ChildError("Name or service not known")

    monkeypatch.setattr(machine, "ask", nobody)
    assert only(machine.limits)["own name"].todo == "export SPARK_LOCAL_IP=127.0.0.1"


def test_children_have_deadlines_and_say_how_they_ended(tmp_path: Path) -> None:
    for lines, said in {
        "sleep 60": "no answer in 0.2 s",
        "echo one >&2; echo two >&2; exit 7": "ended with code 7: two",
        "kill -ILL $$": "ended with signal 4: nothing was said",
    }.items():
        with pytest.raises(ChildError, match=said):
            output([program(tmp_path / "p", lines)], 0.2 if "sleep" in lines else 20)
    with pytest.raises(ChildError, match="KeyError: 'no such probe'"):
        ask("no such probe", 60)


def test_it_starts_where_packages_are_missing() -> None:
    """`python -m tfspark.doctor` needs none to be imported."""
    code = "import sys, tfspark.doctor.command; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "pyarrow", "pydantic", "yaml", "pyspark", "tensorflow", "jinja2"}
    assert not heavy & set(ran.stdout.split())
    assert child.__name__ == "tfspark.doctor.child"
