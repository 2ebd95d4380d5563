"""What is installed: Python, Java, packages, Spark with Delta, TensorFlow and its devices."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from tfspark.doctor.child import ChildError, ask, output
from tfspark.doctor.finding import Finding

ROOT = Path(__file__).parent.parent.parent
"""The checkout, if this is one."""
_JAVA = 17
_LISTED = 6


def is_checkout() -> bool:
    """Whether `make setup` is there to mend things."""
    return (ROOT / "requirements.lock").is_file() and (ROOT / "scripts" / "setup.py").is_file()


def _mend(otherwise: str) -> str:
    return f"cd {ROOT} && make setup" if is_checkout() else otherwise


def python() -> Iterator[Finding]:
    """This Python, and the one that Spark's workers would be."""
    version, said = sys.version_info[:2], f"{platform.python_version()}, {sys.executable}"
    if (3, 11) <= version < (3, 14):
        yield Finding("Python", "ok", said)
    else:
        yield Finding("Python", "bad", said, "python3.11 -m venv .venv (3.11 to 3.13)")
    workers = os.environ.get("PYSPARK_PYTHON")
    if not workers or workers == sys.executable:
        return
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    todo = f"export PYSPARK_PYTHON={sys.executable}"
    try:
        other = output([workers, "-c", code], 10).strip()
    except ChildError as error:
        yield Finding("workers' Python", "bad", f"PYSPARK_PYTHON: {error}", todo)
        return
    same = other == "{}.{}".format(*version)
    yield Finding(
        "workers' Python", "ok" if same else "bad", f"{other}, {workers}", "" if same else todo
    )


def java() -> Iterator[Finding]:
    """The Java that Spark would start with."""
    own, home = Path(sys.prefix, "jre"), os.environ.get("JAVA_HOME")
    home = home or (str(own) if own.exists() else None)
    found = str(Path(home, "bin", "java")) if home else shutil.which("java")
    todo = _mend("install Java 17 or newer and export JAVA_HOME=/its/folder")
    if found is None:
        yield Finding("Java", "bad", "there is none on the PATH, and JAVA_HOME is not set", todo)
        return
    try:
        # What it says stands on stderr, where options with secrets in them may stand too.
        said = output(["sh", "-c", 'exec "$0" -version 2>&1', found], 20)
    except ChildError as error:
        yield Finding("Java", "bad", f"{found}: {error}", todo)
        return
    version = re.search(r'version "([^"]+)"', said)
    number = re.match(r"(?:1\.)?(\d+)", version[1]) if version else None
    if version is None or number is None:
        yield Finding("Java", "bad", f"{found}: does not say its version", todo)
    elif int(number[1]) < _JAVA:
        yield Finding("Java", "bad", f"{version[1]}, {found}: Spark needs {_JAVA}", todo)
    else:
        yield Finding("Java", "ok", f"{version[1]}, {found}")


def spark() -> Iterator[Finding]:
    """Spark's package, another Spark that SPARK_HOME names, and Delta's jars."""
    try:
        version = metadata.version("pyspark")
        home = Path(metadata.distribution("pyspark").locate_file("pyspark"))  # type: ignore[arg-type]
    except metadata.PackageNotFoundError:
        yield Finding(
            "Spark", "bad", "not installed", _mend("pip install --force-reinstall tfspark")
        )
        return
    named = os.environ.get("SPARK_HOME")
    jars = Path(named or home) / "jars"
    core = next((p.name for p in sorted(jars.glob("spark-core_*.jar"))), "")
    other = re.sub(r".*-([\d.]+)\.jar$", r"\1", core)
    if named and other != version:
        said = f"{version}, but SPARK_HOME is {named} with Spark {other or '(none)'}"
        yield Finding("Spark", "bad", said, "unset SPARK_HOME")
    elif not core:
        said = f"{version}, but {jars} has no Spark"
        yield Finding(
            "Spark", "bad", said, _mend(f"pip install --force-reinstall pyspark=={version}")
        )
    else:
        yield Finding("Spark", "ok", version)
    delta = sorted(jars.glob("delta-spark_*.jar"))
    wanted = metadata.version("delta-spark")
    if not delta:
        said = "not beside Spark's: each session asks Maven for them, which needs a network"
        todo = _mend(f"put delta-spark {wanted}, delta-kernel and delta-storage into {jars}")
        yield Finding("Delta's jars", "look", said, todo)
        return
    wrong = [jar.name for jar in delta if not jar.name.endswith(f"-{wanted}.jar")]
    if wrong:
        said = f"{', '.join(wrong)}: the Python package is {wanted}"
        yield Finding("Delta's jars", "bad", said, f"rm {jars}/delta-*.jar && {_mend('restart')}")
    else:
        yield Finding("Delta's jars", "ok", delta[0].name)


def tensorflow() -> Iterator[Finding]:
    """TensorFlow's import, in a process of its own, and its GPUs."""
    try:
        found = ask("tensorflow", 90)
    except ChildError as error:
        todo = _mend("pip install --force-reinstall tfspark")
        yield Finding("TensorFlow", "bad", f"cannot be imported: {error}", todo)
        return
    yield Finding("TensorFlow", "ok", f"{found['version']}, imported in {found['seconds']} s")
    gpus, cards = found["gpus"], Path("/dev/nvidiactl").exists()
    if gpus:
        yield Finding("GPUs", "ok", ", ".join(gpus))
    elif cards and os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        said = "there is one, and CUDA_VISIBLE_DEVICES hides it"
        yield Finding("GPUs", "look", said, "unset CUDA_VISIBLE_DEVICES")
    elif cards:
        said = f"there is one, which TensorFlow cannot use (it was built for CUDA {found['cuda']})"
        todo = f"pip install 'tensorflow[and-cuda]=={found['version']}' (docs/gpu.md)"
        yield Finding("GPUs", "look", said, todo)
    else:
        yield Finding("GPUs", "ok", "none: TensorFlow uses the CPU")


def packages() -> Iterator[Finding]:
    """What is installed against the lock, or against what this package asks for."""
    lock = ROOT / "requirements.lock"
    locked = _locked(lock.read_text("utf-8")) if is_checkout() else {}
    there = {_plain(d.metadata["Name"]): d.version for d in metadata.distributions() if d.metadata}
    missing, other = [], []
    for name, fits in _required():
        if _plain(name) not in there:
            missing.append(name)
        elif _plain(name) not in locked and not fits(there[_plain(name)]):
            other.append(f"{name} is {there[_plain(name)]}")
    differ = [n for n in locked if n in there and there[n] not in locked[n]]
    other += [f"{n} is {there[n]}, the lock says {' or '.join(sorted(locked[n]))}" for n in differ]
    by = "the lock" if locked else "what tfspark asks for"
    if missing:
        todo = _mend(f"pip install {' '.join(missing)}")
        yield Finding("packages", "bad", f"missing: {', '.join(missing)}", todo)
    if other:
        more = f" and {len(other) - _LISTED} more" if len(other) > _LISTED else ""
        todo = _mend("pip install --upgrade tfspark")
        yield Finding("versions", "look", f"{'; '.join(other[:_LISTED])}{more}", todo)
    if not missing and not other:
        yield Finding("packages", "ok", f"as {by} says")


def _locked(text: str) -> dict[str, set[str]]:
    """Versions by name; a lock for several Pythons may hold two of one name."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.M):
        found.setdefault(_plain(name), set()).add(version)
    return found


def _required() -> Iterator[tuple[str, Callable[[str], bool]]]:
    """Names of the packages that every installation has, and which versions fit."""
    from packaging.requirements import Requirement

    if is_checkout():
        import tomllib

        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        asked = project["dependencies"]
    else:
        asked = metadata.requires("tfspark") or []
    for text in asked:
        one = Requirement(text)
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            yield one.name, one.specifier.contains


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
