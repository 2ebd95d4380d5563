"""The recipe of the image, without a daemon: its steps are read, and run where none is needed."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import yaml

from tests.conftest import ROOT
from tfspark.mask import SENSITIVE

sys.path.insert(0, str(ROOT / "scripts"))
from steps import archive

MADE = ("dist/environment.tar.gz", "dist/tfspark-*-py3-none-any.whl", "dist/jars/")
"""By `make package`, and from `make stores` a copy."""
COPIED = (*MADE, "dist/hadoop-aws/")


def steps() -> list[tuple[str, str]]:
    """(instruction, arguments), continued lines joined."""
    text = (ROOT / "conf" / "Dockerfile").read_text("utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", "")
    return [
        (word, rest) for line in text.splitlines() if line for word, rest in [line.split(" ", 1)]
    ]


def copies() -> list[tuple[list[str], str]]:
    """(sources, target) of what comes from the project's folder."""
    found = [rest.split() for word, rest in steps() if word == "COPY" and "--from" not in rest]
    return [(words[:-1], words[-1]) for words in found]


def allowed(path: str) -> bool:
    """As .dockerignore has it: the last line that matches counts."""
    verdict = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.removeprefix("!").rstrip("/")
        parts = Path(path).parts
        heads = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        tail = pattern.removeprefix("**/")
        if (
            line
            and not line.startswith("#")
            and any(
                fnmatch.fnmatchcase(head, pattern) or (tail != pattern and Path(head).name == tail)
                for head in heads
            )
        ):
            verdict = line.startswith("!")
    return verdict


def test_it_copies_what_is_there_and_no_secret() -> None:
    sources = [source for found, _ in copies() for source in found]
    for source in sources:
        assert source in COPIED or list(ROOT.glob(source)), source
        assert allowed(source.replace("*", "x").rstrip("/")), (
            f"{source}: .dockerignore leaves it out"
        )
    for secret in (".env", ".git/config", "warehouse/x", "conf/aws.json", "dist/key.pem", ".ci/x"):
        assert not allowed(secret), secret
    assert not allowed("conf/pod-template.yaml")
    for word, rest in steps():
        if word in ("ENV", "ARG"):
            names = re.findall(r"(\w+)=", rest)
            assert names
            assert not any(re.search(SENSITIVE, name, re.I) for name in names), rest


def test_it_ends_as_nobody_in_stages() -> None:
    found = steps()
    assert sum(word == "FROM" for word, _ in found) >= 2
    users = [rest for word, rest in found if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])
    after = found[[word for word, _ in found].index("USER") :]
    assert {word for word, _ in after} == {"USER", "ENTRYPOINT"}
    template = yaml.safe_load((ROOT / "conf" / "pod-template.yaml").read_text("utf-8"))["spec"]
    assert template["securityContext"]["runAsNonRoot"] is True
    assert f"{template['securityContext']['runAsUser']}" == users[-1].split(":")[0]
    (container,) = template["containers"]
    for variable in container["env"]:
        assert variable.keys() == {"name", "valueFrom"}, "keys by reference alone"
        assert variable["valueFrom"].keys() == {"secretKeyRef"}


def test_its_steps_make_a_python_that_has_the_library(tmp_path: Path) -> None:
    context, root = tmp_path / "context", tmp_path / "root"
    made(context)
    for word, rest in steps():
        if word == "COPY":
            copy(rest, context, root)
        elif word == "RUN":
            assert subprocess.run(["sh", "-n", "-c", rest], check=False).returncode == 0, rest
            if "apt-get" not in rest:
                here = re.sub(r"(?<![\w.])/(opt|tmp)/", rf"{root}/\1/", rest)
                here = here.replace("python3.11 ", f"{sys.executable} ")
                subprocess.run(["sh", "-ec", here], check=True)
    for name in ("jobs/prepare.py", "conf/passengers.yaml", "schemas/passengers.yaml"):
        assert (root / "opt" / "tfspark" / name).is_file()
    assert (root / "opt" / "spark" / "jars" / "delta.jar").is_file()
    python = root / "opt" / "environment" / "bin" / "python"
    said = subprocess.run(
        [python, "-c", "import tfspark; print(tfspark.__file__)"],
        text=True,
        capture_output=True,
        check=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "TFSPARK_BASE_PYTHON": sys.executable},
    )
    assert said.stdout.strip().startswith(str(root / "opt" / "environment"))


def made(context: Path) -> None:
    """The project's folder, with small files for what `make package` makes."""
    dist = context / "dist"
    for folder in ("jars", "hadoop-aws"):
        (dist / folder).mkdir(parents=True)
    (dist / "jars" / "delta.jar").touch()
    (dist / "hadoop-aws" / "hadoop-aws.jar").touch()
    for folder in ("jobs", "conf", "schemas"):
        shutil.copytree(ROOT / folder, context / folder)
    stage = context / "stage"
    (stage / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    archive.write_launcher(stage / "bin" / "python")
    with tarfile.open(dist / "environment.tar.gz", "w:gz") as tar:
        for name in ("bin", "lib"):
            tar.add(stage / name, name)
    with zipfile.ZipFile(dist / "tfspark-0.1.0-py3-none-any.whl", "w") as wheel:
        wheel.write(ROOT / "tfspark" / "__init__.py", "tfspark/__init__.py")
        wheel.write(ROOT / "tfspark" / "lazy.py", "tfspark/lazy.py")


def copy(rest: str, context: Path, root: Path) -> None:
    *sources, target = rest.split()
    if sources[0].startswith("--from="):
        if sources[0] != "--from=packages":
            return  # of an image that is not here
        sources, base = sources[1:], root
    else:
        base = context
    place = root / target.lstrip("/")
    for source in sources:
        found = list(base.glob(source.lstrip("/")))
        assert found, source
        for path in found:
            if path.is_dir():
                if path != place:
                    shutil.copytree(path, place, dirs_exist_ok=True)
            else:
                to = place / path.name if target.endswith("/") else place
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, to)
