"""Clusters: which of a job's places their machines do not see. Said, or refused, at the start."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.config import Settings
from tfspark.errors import ConfigError
from tfspark.yamlfile import load_yaml

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

IMAGE = "/opt/tfspark"
"""Where conf/Dockerfile puts configurations and contracts."""

_VOLUME = re.compile(r"spark\.kubernetes\.(driver|executor)\.volumes\.(\w+)\.[^.]+\.mount\.path")
_SECONDS_TO_SEE = 5  # a network file system shows new files a moment later


@dataclass(frozen=True)
class Cluster:
    """Machines other than this one.

    Attributes:
        pods: of Kubernetes, where nothing outlives a job.
        inside: the driver runs there too, on whichever machine.
        mounts: folders of volumes that all pods have.
    """

    master: str
    pods: bool
    inside: bool
    mounts: tuple[str, ...] = ()


def cluster_of(conf: Mapping[str, str]) -> Cluster | None:
    """The cluster that Spark's settings name; None: this machine."""
    master = conf.get("spark.master", "local")
    if master.startswith("local"):
        return None
    pods = master.startswith("k8s:")
    inside = conf.get("spark.submit.deployMode") == "cluster"
    mounts: set[str] = set()
    if pods:
        roles = ("driver", "executor") if inside else ("executor",)
        mounts = set.intersection(*(set(_mounts(conf, role)) for role in roles))
    return Cluster(master, pods, inside, tuple(sorted(mounts)))


def told(settings: Settings) -> dict[str, str]:
    """Spark's settings as they will be: spark-submit's, if it started this process, and ours."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return settings.spark
    from pyspark import SparkConf

    return dict(SparkConf().getAll()) | settings.spark


def unseen(
    settings: Settings,
    conf: Mapping[str, str],
    config: str | None = None,
    recipe: str | None = None,
) -> list[str]:
    """Of every place of a job that the cluster does not see: its setting, and what to do."""
    cluster = cluster_of(conf)
    if cluster is None:
        return []
    read = {"--config": config, "--recipe": recipe, "contract": settings.contract}
    said = [
        f"{name}: {path!r} is a file of this machine: put it on the store of the warehouse"
        + (f", or into the image, below {IMAGE} (conf/Dockerfile)" if cluster.pods else "")
        for name, path in read.items()
        if path and _here(path, cluster) and not _inside(path, [IMAGE])
    ]
    said += _unwritable(settings, cluster)
    return said + [
        f"{name}: {path!r} is of this machine: copy it to a store that {_who(cluster)} reach"
        for name, path in _inputs(settings)
        if _here(path, cluster)
    ]


def refuse(settings: Settings, conf: Mapping[str, str]) -> None:
    """Before Spark starts: a place for results that goes with a pod, or with the driver's machine.

    Raises:
        ConfigError: the warehouse, the registry or the output is such a place.
    """
    cluster = cluster_of(conf)
    if cluster and (cluster.pods or cluster.inside) and (said := _unwritable(settings, cluster)):
        raise ConfigError("\n".join(said))


def probe(spark: SparkSession, folder: str) -> None:
    """On other clusters: whether the executors see a file that the driver writes to a local folder.

    A folder on a shared disk passes, and so do workers of this very machine.

    Raises:
        ConfigError: an executor does not see it.
    """
    sc = spark.sparkContext
    cluster = cluster_of({"spark.master": str(sc.master)})
    if cluster is None or not local(folder):
        return
    path = storage.filesystem(storage.join(folder, f".seen-{uuid.uuid4().hex}"))[1]
    storage.write_bytes(path, b"")
    try:
        tasks = max(1, min(int(sc.defaultParallelism), 64))
        blind = set(sc.range(tasks, numSlices=tasks).mapPartitions(_who_sees_not(path)).collect())
    finally:
        storage.delete_file(path)
    if blind:
        raise ConfigError(
            f"warehouse: {folder!r} is a folder of the driver's machine, and the executors on "
            f"{', '.join(sorted(blind))} do not see it: {_STORE}"
        )


def local(path: str) -> bool:
    """Whether a path is on a disk of the machine that opens it."""
    return path.startswith("file:") or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path)


_STORE = "give --warehouse s3a://BUCKET/FOLDER, hdfs://HOST:PORT/FOLDER or a disk that all share"


def _unwritable(settings: Settings, cluster: Cluster) -> list[str]:
    """What is written where the others do not see it, or where it does not stay."""
    found = []
    if settings.name:  # without one, no job uses the warehouse
        if _here(settings.warehouse, cluster):
            volume = " (a volume mounted there does too)" if cluster.pods else ""
            found.append(
                f"warehouse: {settings.warehouse!r} is a folder of this machine, which "
                f"{_who(cluster)} do not see: {_STORE}{volume}"
            )
        registry = settings.tracking_uri
        kept = registry.removeprefix("sqlite:///")
        if registry.startswith("sqlite:") and (local(kept) and _here(kept, cluster)):
            found.append(
                "registry.tracking_uri: it is SQLite, a file on the driver's disk, which does not "
                "outlive a driver in the cluster: give --registry.tracking_uri http://HOST:PORT "
                "of an MLflow server"
            )
    outputs = {"score.output": settings.score.output, "stream.output": settings.stream.output}
    outputs["stream.checkpoint"] = settings.stream.checkpoint
    for name, path in outputs.items():
        if "/" in path and _here(path, cluster):
            found.append(f"{name}: {path!r} is a folder of this machine: name one of a store")
    return found


def _inputs(settings: Settings) -> Iterator[tuple[str, str]]:
    source, score = settings.source, settings.score
    several = getattr(score.model, "items", None)  # name → model
    models = several() if several else [("", str(score.model))]
    if source.path and source.format not in ("jdbc", "table"):
        yield "source.path", source.path
    if source.images:
        yield "source.images.folder", source.images.folder
    for name, path in [
        ("score.input", score.input),
        ("stream.input", settings.stream.input),
        ("stream.model", settings.stream.model),
        *((f"score.model.{key}".rstrip("."), model) for key, model in models),
    ]:
        if "/" in path:  # else it is the name of a table
            yield name, path


def _here(path: str, cluster: Cluster) -> bool:
    return local(path) and not _inside(path, cluster.mounts)


def _inside(path: str, folders: Iterable[str]) -> bool:
    plain = os.path.normpath(re.sub("^file:/*", "/", path)) + "/"
    return any(plain.startswith(folder.rstrip("/") + "/") for folder in folders)


def _who(cluster: Cluster) -> str:
    return f"the {'pods' if cluster.pods else 'machines'} of {cluster.master}"


def _mounts(conf: Mapping[str, str], role: str) -> Iterator[str]:
    """Folders of volumes of a role's pods, from settings and pod templates."""
    for key, folder in conf.items():
        found = _VOLUME.fullmatch(key)
        if found and found[1] == role and found[2] != "emptyDir":
            yield folder
    template = conf.get(f"spark.kubernetes.{role}.podTemplateFile", "")
    if template and local(template) and storage.exists(template):
        pod = load_yaml(storage.read_bytes(template), template)[0]
        spec: dict[str, Any] = pod.get("spec", {}) if isinstance(pod, dict) else {}
        lost = {volume["name"] for volume in spec.get("volumes") or [] if "emptyDir" in volume}
        for container in spec.get("containers") or []:
            for mount in container.get("volumeMounts") or []:
                if mount["name"] not in lost:
                    yield mount["mountPath"]


def _who_sees_not(path: str) -> Any:
    """A task: its machine's name where the file is not there."""

    def look(_: Iterable[int]) -> Iterator[str]:
        import socket

        until = time.monotonic() + _SECONDS_TO_SEE
        while not os.path.lexists(path):
            if time.monotonic() > until:
                yield socket.gethostname()
                return
            time.sleep(0.2)

    return look
