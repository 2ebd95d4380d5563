"""Makes what a cluster needs, in dist/; `make package` runs it. docs/setup.md tells how to use it.

All of it, or the parts that are named: library wheel environment delta scala.

tfspark-<version>.zip     the library, for --py-files
environment.tar.gz        Python packages and Horovod, for --archives ...#environment
jars/                     Delta's jars, and its log on S3, for --jars where Spark lacks them
tfspark-<version>.whl     the library, for pip
tfspark-interop_2.13-<version>.jar          the Scala module's own classes
tfspark-interop.packages                    what it needs, for --packages
natives/                                    TensorFlow's natives, for --jars beside those two
tfspark-interop-assembly-<version>.jar      all of that in one, for --jars
"""

import shutil
import sys
import time
import tomllib
import zipfile
from pathlib import Path

from steps import archive, horovod, jars, java, packages, ui
from steps.paths import PYTHON, ROOT, RUNTIME_LOCK, SCRIPTS, UV

DIST = ROOT / "dist"
LOG_STORE = ROOT / "tfspark" / "storage" / "log_store.jar"
STAGE = ROOT / "build" / "environment"
PACKED = ROOT / "build" / "environment.key"
LEFT_OUT_OF_ZIP = {"__pycache__"}


def main(wanted: list[str]) -> None:
    started = time.monotonic()
    if unknown := set(wanted) - set(PARTS):
        raise ui.SetupError(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    DIST.mkdir(exist_ok=True)
    for path in [path for name in wanted or PARTS for path in PARTS[name]()]:
        size = sum(file.stat().st_size for file in [path, *path.glob("*")] if file.is_file())
        ui.say(f"  {path.relative_to(ROOT)!s:<48} {size / 1e6:8.1f} MB")
    ui.say(f"\npackaged in {time.monotonic() - started:.0f} s; how to submit it: docs/setup.md")


def library_zip() -> list[Path]:
    """Same files, same bytes: times are left at the zip format's first day."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    target = DIST / f"tfspark-{version}.zip"
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive_file:
        for path in sorted((ROOT / "tfspark").rglob("*")):
            if path.is_file() and not LEFT_OUT_OF_ZIP & set(path.parts):
                entry = zipfile.ZipInfo(path.relative_to(ROOT).as_posix())
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive_file.writestr(entry, path.read_bytes())
    part.replace(target)
    return [target]


def wheel() -> list[Path]:
    options = ["--wheel", "--no-build-isolation", "--python", PYTHON, "--out-dir", DIST]
    packages.command("Wheel", [UV, "build", *options, ROOT])
    (DIST / ".gitignore").unlink(missing_ok=True)  # uv's; dist/ is ignored as a whole
    return sorted(DIST.glob("tfspark-*.whl"))


def environment() -> list[Path]:
    """Installed once more, as links to uv's cache, without what only tests and people need."""
    target = DIST / "environment.tar.gz"
    horovod_wheel = horovod.Build().wheel()
    if horovod_wheel is None:
        raise ui.SetupError("Horovod's wheel is not in the cache: make distclean setup")
    key = archive.key(RUNTIME_LOCK, horovod_wheel, Path(archive.__file__))
    if target.exists() and PACKED.exists() and PACKED.read_text(encoding="utf-8") == key:
        return [target]
    shutil.rmtree(STAGE, ignore_errors=True)
    site = STAGE / "lib" / "python3.11" / "site-packages"
    hashed = ("--no-deps", "--require-hashes", "-r", RUNTIME_LOCK)
    packages.finish(packages.start_uv("Runtime packages", "install", "--target", site, *hashed))
    packages.finish(
        packages.start_uv(
            "Runtime Horovod", "install", "--target", site, "--no-deps", horovod_wheel
        )
    )
    archive.write_launcher(STAGE / "bin" / "python")
    started = time.monotonic()
    part = target.with_suffix(".part")
    archive.pack(STAGE, part)
    part.replace(target)
    ui.say(f"  {'Environment (packing)':<34} {time.monotonic() - started:6.1f} s")
    PACKED.write_text(key, encoding="utf-8")
    shutil.rmtree(STAGE)
    return [target]


def delta_jars() -> list[Path]:
    folder = DIST / "jars"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for jar in jars.cached(java.find()):
        shutil.copy(jar, folder)
    shutil.copy(LOG_STORE, folder / "tfspark-log-store.jar")
    return [folder]


def scala_module() -> list[Path]:
    packages.command("Scala module", [PYTHON, SCRIPTS / "sbt.py", "dist"])
    return [*sorted(DIST.glob("tfspark-interop*")), DIST / "natives"]


PARTS = {
    "library": library_zip,
    "wheel": wheel,
    "environment": environment,
    "delta": delta_jars,
    "scala": scala_module,
}


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ui.SetupError as error:
        ui.fail(str(error), what="packaging")
    except KeyboardInterrupt:
        sys.exit(130)
