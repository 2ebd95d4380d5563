"""Horovod's wheel: built from its source archive once per machine and set of inputs."""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from steps import hints, packages, ui
from steps.paths import CACHE, HOROVOD_LOCK, HOROVOD_PATCH, PYTHON, ROOT, UV

WHEELS = CACHE / "wheels"
FLAGS = {
    "HOROVOD_WITH_TENSORFLOW": "1",
    "HOROVOD_WITH_GLOO": "1",
    "HOROVOD_WITHOUT_MPI": "1",
    "HOROVOD_WITHOUT_PYTORCH": "1",
    "HOROVOD_WITHOUT_MXNET": "1",
}
# Set by the user (HOROVOD_GPU_OPERATIONS=NCCL make setup), they win, and give another wheel.
USERS = re.compile(
    r"HOROVOD_(WITH|GPU|CUDA|NCCL|ROCM|BUILD|CPU_OPERATIONS)|CXX(FLAGS)?$|CUDA_HOME$"
)
OLDEST_CMAKE = (3, 13)


class Build:
    """One build: `start` returns while the compiler works, `finish` gives the wheel."""

    command = "make setup"

    def __init__(self) -> None:
        users = {name: value for name, value in os.environ.items() if USERS.match(name)}
        self.flags = {**FLAGS, **self.own_flags(), **users}
        self.inputs = {
            "source": HOROVOD_LOCK.read_text(encoding="utf-8"),
            "patch": hashlib.sha256(HOROVOD_PATCH.read_bytes()).hexdigest(),
            "tensorflow": packages.locked_version("tensorflow"),
            "python": f"cp{sys.version_info[0]}{sys.version_info[1]}",
            "machine": [platform.system(), platform.machine(), *platform.libc_ver()],
            "compiler": compiler_version(),
            "flags": self.flags,
            **self.own_inputs(),
        }
        text = json.dumps(self.inputs, sort_keys=True)
        self.folder = WHEELS / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.task: ui.Task | None = None

    def own_flags(self) -> dict[str, str]:
        return {}

    def own_inputs(self) -> dict[str, object]:
        return {}

    def prepare(self, source: Path) -> dict[str, str]:
        """What else the patched source needs; the environment of its build."""
        return {}

    def wheel(self) -> Path | None:
        if not self.inputs["compiler"]:  # cannot build: any compiler's wheel will do
            for inputs in WHEELS.glob("*/inputs.json"):
                if json.loads(inputs.read_text()) | {"compiler": ""} == self.inputs:
                    self.folder = inputs.parent
        return next(self.folder.glob("horovod-*.whl"), None)

    def check_tools(self) -> None:
        if not self.inputs["compiler"]:
            raise ui.SetupError(
                "a C++ compiler is missing; Horovod is built from source, once\n"
                f"  {hints.install('compiler')}"
            )
        command = os.environ.get("HOROVOD_CMAKE", "cmake")
        version = cmake_version(command)
        if version is None:
            raise ui.SetupError(
                f"CMake is missing ({command} does not run); Horovod's build needs "
                f"{'.'.join(map(str, OLDEST_CMAKE))} or newer\n  {hints.install('cmake')}"
            )
        if version < OLDEST_CMAKE:
            raise ui.SetupError(
                f"CMake {'.'.join(map(str, version))} is too old; Horovod's build needs "
                f"{'.'.join(map(str, OLDEST_CMAKE))} or newer\n  {hints.ANYWHERE['cmake']}"
            )

    def start(self) -> None:
        """Under a lock: of two set-ups at once, one builds and the other takes its wheel."""
        WHEELS.mkdir(parents=True, exist_ok=True)
        self.lock = (WHEELS / f"{self.folder.name}.lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            ui.say("  another set-up builds Horovod: waiting for its wheel")
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        if self.wheel():
            return
        # Beside its final place, so that the last step is a rename.
        self.work = Path(tempfile.mkdtemp(prefix="build-", dir=WHEELS))
        source = self._source()
        self.result = self.work / "result"
        env = packages.uv_env() | self.flags | self.prepare(source)
        # Not the flags of the `make setup` that may have started this.
        env["MAKEFLAGS"] = f"-j{os.environ.get('CMAKE_BUILD_PARALLEL_LEVEL') or parallel_jobs()}"
        # CMake 4 refuses the minimum that the bundled Gloo names; older ones ignore this.
        env.setdefault("CMAKE_POLICY_VERSION_MINIMUM", "3.5")
        options = ["--wheel", "--no-build-isolation", "--python", PYTHON, "--out-dir", self.result]
        self.task = ui.Task("Horovod (compiling)", [UV, "build", *options, source], env=env)

    def finish(self) -> Path:
        try:
            if self.task:
                self._keep(self.task)
        finally:
            self.drop()
        wheel = self.wheel()
        if wheel is None:
            raise ui.SetupError("Horovod's build left no wheel; see build/setup/")
        return wheel

    def drop(self) -> None:
        """End a build that nobody waits for any more, and remove its folder."""
        if self.task:
            self.task.stop()
            shutil.rmtree(self.work, ignore_errors=True)
        self.lock.close()

    def _source(self) -> Path:
        arguments = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
        pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "download", *arguments]
        command = [*pip, "--require-hashes", "-r", HOROVOD_LOCK, "-d", self.work]
        packages.command("Horovod (source)", command, env=dict(os.environ))
        with tarfile.open(next(self.work.glob("horovod-*.tar.gz"))) as archive:
            archive.extractall(self.work)  # noqa: S202 (pip checked the archive's sha256)
        source = next(path for path in self.work.glob("horovod-*") if path.is_dir())
        apply_patch(HOROVOD_PATCH, source)
        return source

    def _keep(self, task: ui.Task) -> None:
        try:
            packages.finish(task)
        except ui.CommandError as error:
            if re.search(r"Killed|out of memory|cannot allocate", error.output, re.IGNORECASE):
                raise ui.SetupError(
                    f"too little memory: CMAKE_BUILD_PARALLEL_LEVEL=1 {self.command}\n{error}"
                ) from None
            raise
        wheel = next(self.result.glob("horovod-*.whl"))
        ready = self.work / "ready"
        ready.mkdir()
        wheel.rename(ready / wheel.name)
        (ready / "inputs.json").write_text(json.dumps(self.inputs, indent=2), encoding="utf-8")
        ready.rename(self.folder)


def apply_patch(patch: Path, source: Path) -> None:
    """A unified diff, without the `patch` program; every hunk must match in exactly one place."""
    target, hunks = source, dict[Path, list[tuple[str, str]]]()
    for line in patch.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("+++ "):
            target = source / line[4:].split()[0].split("/", 1)[1]
            hunks[target] = []
        elif line.startswith("@@"):
            hunks[target].append(("", ""))
        elif target in hunks and line[0] in " +-" and not line.startswith("---"):
            old, new = hunks[target][-1]
            hunks[target][-1] = (
                old + line[1:] * (line[0] != "+"),
                new + line[1:] * (line[0] != "-"),
            )
    for path, changes in hunks.items():
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for number, (old, new) in enumerate(changes, 1):
            if text.count(old) != 1:
                raise ui.SetupError(
                    f"{patch.relative_to(ROOT)} does not apply to {path.relative_to(source)} "
                    f"(hunk {number}): the archive is not the version that the patch is for.\n"
                    "  Make the patch again for the version in scripts/horovod.lock."
                )
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


def compiler_version() -> str:
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        if name and shutil.which(name.split()[0]):
            out = subprocess.run([*name.split(), "--version"], capture_output=True, check=False)
            return out.stdout.decode("utf-8", "replace").partition("\n")[0]
    return ""


def cmake_version(command: str) -> tuple[int, ...] | None:
    try:
        out = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"version (\d+)\.(\d+)", out.stdout)
    return tuple(map(int, found.groups())) if found else None


def parallel_jobs() -> int:
    """One per core, with 1.5 GB of memory for each: TensorFlow's headers are large."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, int(memory / (1.5 * packages.GB))))
