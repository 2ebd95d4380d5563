"""Delta's jars, next to Spark's own: a session needs no network and no spark.jars.packages."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from steps import packages, ui
from steps.paths import CACHE, JARS_LOCK, SPARK_JARS

JARS = CACHE / "jars"


@dataclass(frozen=True)
class Jar:
    organisation: str
    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.jar"


def locked() -> list[Jar]:
    return [of(*line) for line in lines(JARS_LOCK)]


def of(coordinate: str, sha256: str) -> Jar:
    return Jar(*coordinate.split(":"), sha256)


def lines(lock: Path) -> list[list[str]]:
    """The words of every line but comments."""
    text = lock.read_text(encoding="utf-8").splitlines()
    return [line.split() for line in text if line and not line.startswith("#")]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_right(path: Path, jar: Jar) -> bool:
    return path.is_file() and sha256_of(path) == jar.sha256


def cached(java: Path) -> list[Path]:
    """The jars in the cache, downloaded where they are not there yet."""
    return fetch(java, locked(), JARS, "Delta's jars", JARS_LOCK, CACHE / "ivy")


def fetch(
    java: Path, jars: list[Jar], folder: Path, title: str, lock: Path, ivy_cache: Path
) -> list[Path]:
    """These jars of a lock in the folder, downloaded where they are not there yet."""
    missing = [jar for jar in jars if not is_right(folder / jar.file, jar)]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            _download(java, missing, Path(fresh), title, ivy_cache)
            for jar in missing:
                if not is_right(Path(fresh, jar.file), jar):
                    raise ui.SetupError(
                        f"{jar.file} is not the file that {lock.name} names (its sha256 "
                        "differs): do not use it; look at the repository it came from"
                    )
                # A rename, so that another set-up never sees half a jar.
                os.replace(Path(fresh, jar.file), folder / jar.file)  # noqa: PTH105
    return [folder / jar.file for jar in jars]


def install(java: Path, spark_jars: Path = SPARK_JARS) -> None:
    for jar, source in zip(locked(), cached(java), strict=True):
        target = spark_jars / jar.file
        for old in spark_jars.glob(f"{jar.name}-[0-9]*.jar"):
            if old != target:
                old.unlink()
        if not is_right(target, jar):
            part = target.with_suffix(".part")
            shutil.copyfile(source, part)
            part.replace(target)


def _download(java: Path, jars: list[Jar], folder: Path, title: str, ivy_cache: Path) -> None:
    """With the Ivy that Spark ships: it knows Maven Central by itself, and the user's settings."""
    ivy = next(SPARK_JARS.glob("ivy-*.jar"))
    wanted = "".join(
        f'<dependency org="{jar.organisation}" name="{jar.name}" rev="{jar.version}" '
        'transitive="false"/>'
        for jar in jars
    )
    module = folder / "ivy.xml"
    module.write_text(
        '<ivy-module version="2.0"><info organisation="tfspark" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f'<dependencies defaultconf="default->master">{wanted}</dependencies></ivy-module>',
        encoding="utf-8",
    )
    settings = os.environ.get("TFSPARK_IVY_SETTINGS")
    packages.command(
        title,
        [
            java,
            *proxy(),
            "-jar",
            ivy,
            *(["-settings", settings] if settings else []),
            *("-cache", ivy_cache, "-ivy", module, "-confs", "default"),
            *("-retrieve", f"{folder}/[artifact]-[revision].[ext]"),
        ],
    )


def proxy() -> list[str]:
    """Java does not read https_proxy."""
    options = []
    for scheme in ("http", "https"):
        address = os.environ.get(f"{scheme}proxy") or os.environ.get(f"{scheme.upper()}_PROXY")
        parts = urlsplit(address or "")
        if parts.hostname:
            options.append(f"-D{scheme}.proxyHost={parts.hostname}")
            options.append(f"-D{scheme}.proxyPort={parts.port or 80}")
    return options
