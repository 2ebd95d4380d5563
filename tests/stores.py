"""Stores as users have them, on this machine: two S3 servers, HDFS, YARN.

`make stores` fetches them. Each starts once, on free ports, below a folder of its own, and ends
with the tests.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyspark
import pytest
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem
from pyspark.sql import SparkSession

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
from steps.paths import STORES

KEY, SECRET = "testkey", "test/secret+key"  # nothing but these servers knows them
REGION = "us-east-1"
BUCKET = "tables"
PATIENCE = 120
SPARK_JARS = Path(pyspark.__file__).parent / "jars"


@dataclass(frozen=True)
class S3:
    """A server of S3 with one bucket; `log` has a line for each request if it is versitygw's."""

    make: str
    endpoint: str
    log: Path
    bucket: str = BUCKET
    key: str = KEY
    secret: str = SECRET
    region: str = REGION

    @property
    def environment(self) -> dict[str, str]:
        """What a job's environment has: keys, and for libraries that read no setting of ours."""
        return {
            **keys(),
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }

    def files(self) -> S3FileSystem:
        """It as Arrow sees it; it may make buckets."""
        return S3FileSystem(
            access_key=self.key,
            secret_key=self.secret,
            region=self.region,
            endpoint_override=self.endpoint,
            allow_bucket_creation=True,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=1),
        )

    def show(self, spark: SparkSession, bucket: str, endpoint: str = "") -> None:
        """Lets a session find a bucket here, or at another endpoint: before its first use."""
        hadoop = getattr(spark.sparkContext, "_jsc").hadoopConfiguration()  # noqa: B009
        for name, value in {
            "endpoint": endpoint or self.endpoint,
            "endpoint.region": self.region,
            "path.style.access": "true",
            "connection.ssl.enabled": "false",
            "access.key": self.key,
            "secret.key": self.secret,
        }.items():
            hadoop.set(f"fs.s3a.bucket.{bucket}.{name}", value)


@dataclass(frozen=True)
class Hdfs:
    uri: str


@dataclass(frozen=True)
class Yarn:
    """A cluster of one node on an HDFS of its own; `conf` is HADOOP_CONF_DIR."""

    conf: Path
    uri: str


def keys() -> dict[str, str]:
    """Without them libraries would ask a cloud's address for metadata."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def jars(part: str) -> list[str]:
    """The jars of a part; none where `make stores` did not run."""
    return sorted(map(str, (STORES / part).glob("*.jar")))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server: versitygw, or SeaweedFS where there is no Go to build it."""
    make = versitygw if _program("versitygw").exists() else seaweedfs
    with make(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def s3_other(s3_server: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A second S3 server, of another make."""
    if s3_server.make == "seaweedfs":
        pytest.skip("versitygw is not there: `make stores` builds it where there is Go")
    with seaweedfs(tmp_path_factory.mktemp("s3-other")) as server:
        yield server


@pytest.fixture(scope="session")
def hdfs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdfs]:
    """HDFS with one data node: `uri` is hdfs://host:port."""
    with hadoop(tmp_path_factory.mktemp("hdfs"), yarn=False) as started:
        yield Hdfs(started.uri)


@pytest.fixture(scope="session")
def yarn_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yarn]:
    """YARN with one node of 6 GB, and HDFS."""
    with hadoop(tmp_path_factory.mktemp("yarn"), yarn=True) as started:
        yield started


@contextmanager
def versitygw(folder: Path) -> Iterator[S3]:
    """The strict one: it checks region and signature as AWS does."""
    (port,) = free_ports(1)
    for name in ("iam", "root"):
        (folder / name).mkdir()
    command = [_there("versitygw"), "--port", f"127.0.0.1:{port}"]
    command += ["--region", REGION, "--iam-dir", str(folder / "iam")]
    command += ["posix", str(folder / "root")]
    keyed = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET, "GOMEMLIMIT": "256MiB"}
    with _daemon(folder / "versitygw.log", command, keyed) as alive:
        yield _ready(S3("versitygw", f"http://127.0.0.1:{port}", folder / "versitygw.log"), alive)


@contextmanager
def seaweedfs(folder: Path) -> Iterator[S3]:
    """Another make: it keeps empty folders, and takes any region."""
    ports = free_ports(8)
    identity = {"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": SECRET}]}
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity | {"actions": ["Admin"]}]}))
    (folder / "data").mkdir()
    command = [_there("seaweedfs", "bin", "weed"), "server", "-filer", "-s3"]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}"]
    command += [f"-s3.config={config}", "-master.volumeSizeLimitMB=256"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-volume.max=500"]  # a bucket takes seven; without room a PUT hangs
    for part, http, grpc in zip(
        ("master", "volume", "filer", "s3"), ports[:4], ports[4:], strict=True
    ):
        command += [f"-{part}.port={http}", f"-{part}.port.grpc={grpc}"]
    with _daemon(folder / "weed.log", command, {"GOMEMLIMIT": "384MiB"}, cwd=folder) as alive:
        yield _ready(S3("seaweedfs", f"http://127.0.0.1:{ports[3]}", folder / "weed.log"), alive)
    for port in ports:
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink()


@contextmanager
def hadoop(folder: Path, *, yarn: bool) -> Iterator[Yarn]:
    """Hadoop's mini clusters in a JVM that ends with this process."""
    parts = ["hdfs", "yarn"] if yarn else ["hdfs"]
    classpath = [jar for part in parts for jar in _jars_there(part)]
    with ExitStack() as undo, (folder / "hadoop.log").open("w") as log:
        port, token, process = launch_gateway(
            classpath=os.pathsep.join(classpath),
            jarpath=str(next(SPARK_JARS.glob("py4j-*.jar"))),
            javaopts=["-Xmx700m" if yarn else "-Xmx500m", "-XX:TieredStopAtLevel=1"],
            java_path="",
            die_on_exit=True,
            enable_auth=True,
            return_proc=True,
            redirect_stdout=log,
            redirect_stderr=log,
            cwd=folder,
        )
        undo.callback(_end_java, process)
        parameters = GatewayParameters(port=port, auth_token=token, auto_convert=True)
        gateway = JavaGateway(gateway_parameters=parameters)
        undo.callback(gateway.close)
        yield _start_hadoop(gateway.jvm, folder, yarn)


def _start_hadoop(jvm: Any, folder: Path, yarn: bool) -> Yarn:
    apache = jvm.org.apache.hadoop
    conf = apache.yarn.conf.YarnConfiguration() if yarn else apache.conf.Configuration()
    (name_port,) = free_ports(1)
    uri = f"hdfs://127.0.0.1:{name_port}"
    _set(conf, _HDFS | {"hdfs.minidfs.basedir": str(folder / "dfs"), "fs.defaultFS": uri})
    builder = jvm.org.apache.hadoop.hdfs.MiniDFSCluster.Builder(conf)
    builder.nameNodePort(name_port).numDataNodes(1).build().waitClusterUp()
    client = {"fs.defaultFS": uri}
    if yarn:
        ports = free_ports(len(_YARN_PORTS))
        fixed = {name: f"127.0.0.1:{port}" for name, port in zip(_YARN_PORTS, ports, strict=True)}
        _set(conf, _YARN | fixed)
        cluster = apache.yarn.server.MiniYARNCluster("mini", 1, 1, 1)
        cluster.init(conf)
        cluster.start()
        cluster.waitForNodeManagersToConnect(10_000)
        client |= {"yarn.resourcemanager.hostname": "127.0.0.1", **fixed}
    # By hand: the cluster's own names classes that only it has.
    lines = "".join(
        f"<property><name>{k}</name><value>{v}</value></property>\n" for k, v in client.items()
    )
    for name in ("core-site.xml", "yarn-site.xml"):
        (folder / "conf").mkdir(exist_ok=True)
        (folder / "conf" / name).write_text(f"<configuration>\n{lines}</configuration>\n")
    return Yarn(folder / "conf", uri)


_HDFS = {
    "dfs.namenode.rpc-bind-host": "127.0.0.1",
    "dfs.namenode.http-address": "127.0.0.1:0",
    "dfs.replication": "1",
    "dfs.permissions.enabled": "false",
}
_YARN_PORTS = (
    "yarn.resourcemanager.address",
    "yarn.resourcemanager.scheduler.address",
    "yarn.resourcemanager.resource-tracker.address",
    "yarn.resourcemanager.admin.address",
    "yarn.resourcemanager.webapp.address",
)
_YARN = {
    "yarn.minicluster.fixed.ports": "true",
    "yarn.minicluster.yarn.nodemanager.resource.memory-mb": "6000",
    "yarn.nodemanager.resource.memory-mb": "6000",
    "yarn.nodemanager.resource.cpu-vcores": "6",
    "yarn.scheduler.minimum-allocation-mb": "256",
    "yarn.scheduler.maximum-allocation-mb": "6000",
    "yarn.nodemanager.vmem-check-enabled": "false",
    "yarn.nodemanager.pmem-check-enabled": "false",
    "yarn.resourcemanager.hostname": "127.0.0.1",
    "yarn.resourcemanager.bind-host": "127.0.0.1",
    "yarn.nodemanager.hostname": "127.0.0.1",
    "yarn.nodemanager.bind-host": "127.0.0.1",
    "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99",
    "yarn.scheduler.capacity.root.queues": "default",
    "yarn.scheduler.capacity.root.default.capacity": "100",
    "yarn.scheduler.capacity.maximum-am-resource-percent": "0.9",
}


def _set(conf: Any, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        conf.set(name, value)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _program(*names: str) -> Path:
    return STORES.joinpath(names[0], *(names[1:] or names))


def _there(*names: str) -> str:
    program = _program(*names)
    if not program.exists():
        pytest.skip(f"{names[0]} is not there: run `make stores`")
    return str(program)


def _jars_there(part: str) -> list[str]:
    if not jars(part):
        pytest.skip(f"the jars of {part} are not there: run `make stores`")
    return jars(part)


@contextmanager
def _daemon(
    log: Path, command: list[str], environment: Mapping[str, str], cwd: Path | None = None
) -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether it still runs."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_us,
        )
    try:
        yield lambda: process.poll() is None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end_with_us() -> None:
    """Also where the tests are killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _ready(server: S3, alive: Callable[[], bool]) -> S3:
    """The server, when it has made the bucket."""
    files = server.files()
    until = time.monotonic() + PATIENCE
    while True:
        try:
            files.create_dir(server.bucket)
            return server
        except OSError as error:
            if not alive() or time.monotonic() > until:
                said = server.log.read_text("utf-8", "replace")[-4000:]
                raise RuntimeError(f"{server.make} does not answer: {error}\n{said}") from None
        time.sleep(0.1)


def _end_java(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with suppress(OSError):
                pipe.close()
