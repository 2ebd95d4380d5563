"""The Python packages: the virtual environment, uv, and what the lock names."""

import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from steps import find_python, hints, ui
from steps.paths import CACHE, LOCK, PYTHON, ROOT, SITE, UV, VENV, user_cache

GB = 1024**3
# pip's settings are the user's; uv has names of its own for them.
UV_NAMES = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}
NO_NETWORK = re.compile(
    r"dns error|name resolution|Name or service not known|Network is unreachable|"
    r"No route to host|Connection refused|Failed to establish a new connection|"
    r"error sending request|network connectivity is disabled|UnknownHostException|"
    r"Could not connect|timed out|from versions: none|Host \S+ not found|not well configured",
    re.IGNORECASE,
)
NOT_TRUSTED = re.compile(r"PKIX path|CERTIFICATE_VERIFY_FAILED|invalid peer certificate")
CERTIFICATE = (
    "the server's certificate is not one that this machine trusts (a company's proxy?).\n"
    "  SSL_CERT_FILE=<its certificates, a .pem or .crt file> PIP_CERT=<the same> make setup"
)
OFFLINE = (
    "no network, or the package index does not answer.\n"
    "  behind a mirror: PIP_INDEX_URL=<address> make setup  (Java archives: TFSPARK_IVY_SETTINGS)\n"
    "  with no network at all: see docs/setup.md, 'Without a network'"
)


def uv_env() -> dict[str, str]:
    env = dict(os.environ)
    for pip_name, uv_name in UV_NAMES.items():
        if env.get(pip_name):
            env.setdefault(uv_name, env[pip_name])
    env.setdefault("UV_HTTP_TIMEOUT", "180")
    env["UV_NO_PROGRESS"] = "1"
    # A build in the environment finds its tools (and no other environment) there.
    env["PATH"] = f"{VENV / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["VIRTUAL_ENV"] = str(VENV)
    return env


def blocks(lock: Path) -> dict[str, str]:
    """{package: its requirement and hashes} of a lock file."""
    found: dict[str, str] = {}
    name = ""
    for line in lock.read_text(encoding="utf-8").splitlines(keepends=True):
        start = re.match(r"([A-Za-z0-9._-]+)(\[[^]]*\])?==", line)
        if start:
            name = start.group(1).lower()
            found[name] = line
        elif name and not line.lstrip().startswith("#"):
            found[name] += line
    return found


def locked_version(package: str) -> str:
    try:
        return blocks(LOCK)[package].split("==")[1].split()[0]
    except (KeyError, IndexError):
        raise ui.SetupError(f"{LOCK.name} names no {package}: run `make lock`") from None


def check_disk() -> None:
    """Say it before the first download, not half-way. Measured, and a little more."""
    new = not (SITE / "tensorflow").is_dir()
    uv_cache = Path(os.environ.get("UV_CACHE_DIR") or user_cache() / "uv")
    # uv links the files of its cache into .venv where both are on one disk: then they count once.
    needs = {ROOT: (4.0 if new else 0.5), CACHE: 0.6, uv_cache: (6.0 if new else 0.5)}
    by_disk: dict[int, tuple[Path, float]] = {}
    for path, need in needs.items():
        place = next(parent for parent in (path, *path.parents) if parent.exists())
        disk = place.stat().st_dev
        shared = by_disk.get(disk, (place, 0.0))
        by_disk[disk] = (shared[0], max(shared[1], need))
    for place, need in by_disk.values():
        free = shutil.disk_usage(place).free / GB
        if free < need:
            raise ui.SetupError(
                f"too little disk room: {free:.1f} GB free at {place}, {need:.1f} GB needed.\n"
                "  free some:                   .venv/bin/uv cache clean; rm -rf build dist\n"
                "  or put the caches elsewhere: XDG_CACHE_HOME=<folder> make setup"
            )


def make_venv() -> None:
    """A 3.11 environment at .venv; one that is broken, old or moved is made again."""
    if find_python.version(str(PYTHON)) == find_python.WANTED and not _moved():
        return
    if VENV.is_symlink():
        raise ui.SetupError(
            f"{VENV} is a link to {VENV.resolve()}, an environment of another folder, which would "
            "be emptied\n  remove the link: rm .venv"
        )
    clear = ["--clear"] if (VENV / "pyvenv.cfg").exists() else []
    try:
        ui.run("Virtual environment", [sys.executable, "-m", "venv", *clear, VENV])
    except ui.CommandError as error:
        if "ensurepip" not in error.output:
            raise
        shutil.rmtree(VENV, ignore_errors=True)
        raise ui.SetupError(
            f"Python's venv module is missing ({sys.executable} has no ensurepip)\n"
            f"  {hints.install('venv')}"
        ) from None


def _moved() -> bool:
    """Whether the folder was renamed: its scripts would start another place's Python."""
    config = (VENV / "pyvenv.cfg").read_text(encoding="utf-8")
    made_at = re.search(r"^command = .* (/\S+)$", config, re.MULTILINE)
    return bool(made_at) and Path(made_at.group(1)) != VENV


def install_uv() -> None:
    """pip checks uv's hash; from there on uv checks everything else's."""
    wanted = locked_version("uv")
    if UV.exists():
        have = subprocess.run([UV, "--version"], capture_output=True, text=True, check=False)
        if have.stdout.split()[1:2] == [wanted]:
            return
    with lock_of("uv") as lock:
        pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps"]
        command("uv", [*pip, "--require-hashes", "-r", lock.name], env=dict(os.environ))


def start_uv(title: str, *arguments: str | Path, python: Path = PYTHON) -> ui.Task:
    no_index = ["--no-index"] if os.environ.get("PIP_NO_INDEX") else []
    whole = [UV, "pip", *arguments, *no_index, "--python", python]
    return ui.Task(title, whole, env=uv_env(), cwd=ROOT)


def command(title: str, arguments: list[str | Path], env: dict[str, str] | None = None) -> str:
    """Run it; where it failed for a known reason, say the reason and what to do."""
    return finish(ui.Task(title, arguments, env=env or uv_env(), cwd=ROOT))


def finish(task: ui.Task) -> str:
    try:
        return task.wait()
    except ui.CommandError as error:
        if "No space left on device" in error.output:
            raise ui.SetupError(f"the disk is full\n{error}") from None
        if NOT_TRUSTED.search(error.output):
            raise ui.SetupError(f"{CERTIFICATE}\n{error}") from None
        if NO_NETWORK.search(error.output):
            raise ui.SetupError(f"{OFFLINE}\n{error}") from None
        if re.search(r"hash mismatch|DO NOT MATCH THE HASHES", error.output, re.IGNORECASE):
            raise ui.SetupError(
                f"a download is not the file that the lock names: do not use it.\n{error}"
            ) from None
        raise


def install_first() -> None:
    """All but Spark, whose archive is large and slow to unpack: Horovod's build can start."""
    first = [name for name in blocks(LOCK) if name != "pyspark"]
    with lock_of(*first) as lock:
        hashed = ("--no-deps", "--require-hashes", "-r", lock.name)
        finish(start_uv("TensorFlow and the rest", "install", *hashed))


def sync(*locks: Path) -> None:
    """Exactly what the locks name. Builds (Spark's archive) use the locked setuptools.

    Bytecode now, for all: TensorFlow and MLflow take seconds longer to import without it, and
    where PYTHONDONTWRITEBYTECODE is set they would in every process.
    """
    build = ("--require-hashes", "--no-build-isolation", "--compile-bytecode")
    finish(start_uv("Spark", "sync", *build, *locks))


def install(title: str, *what: str | Path) -> None:
    finish(start_uv(title, "install", "--no-deps", "--no-build-isolation", *what))


def lock_of(*names: str, lock: Path = LOCK) -> "tempfile._TemporaryFileWrapper[str]":
    """The lock's entries for these packages, as a file."""
    entries = blocks(lock)
    file = tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8")  # noqa: SIM115
    file.writelines(entries[name] for name in names)
    file.flush()
    return file


def explain_os_error(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk is full ({error})"
    return f"{type(error).__name__}: {error}"
