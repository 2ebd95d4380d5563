"""How S3 is reached: from the environment, which drivers, executors and ranks share.

The settings `storage.s3.*` are written to the environment (`use`), in the form in which they are
read from it: `TFSPARK_STORAGE__S3__ENDPOINT`. Keys are only ever in the environment, or come from
the platform's identity.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tfspark.errors import StorageError

PREFIX = "TFSPARK_STORAGE__S3__"
_SECRET = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_IDENTITY = (
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_PROFILE",
)
_REGION = "us-east-1"  # where nobody names one: of servers that ask for none
_RETRIES = 8
_CONNECT, _REQUEST = 10.0, 60.0  # seconds
LOG_STORE_JAR = Path(__file__).with_name("log_store.jar")
LOG_STORE = {
    f"spark.delta.logStore.{scheme}.impl": "tfspark.delta.ConditionalLogStore"
    for scheme in ("s3", "s3a", "s3n")
}
"""Delta's own overwrites what another driver committed: see ConditionalLogStore.scala."""
HADOOP_AWS = "org.apache.hadoop:hadoop-aws:3.5.0"


@dataclass(frozen=True)
class S3:
    """
    Attributes:
        endpoint: of another server than Amazon's; "".
        path_style: the bucket is named in the path, not in the host.
    """

    endpoint: str
    region: str
    path_style: bool
    retries: int

    @property
    def plain_http(self) -> bool:
        return self.endpoint.startswith("http://")


def from_environment(environment: Mapping[str, str] | None = None) -> S3:
    env = os.environ if environment is None else environment
    endpoint = env.get(f"{PREFIX}ENDPOINT") or env.get("AWS_ENDPOINT_URL_S3")
    endpoint = (endpoint or env.get("AWS_ENDPOINT_URL") or "").rstrip("/")
    region = env.get(f"{PREFIX}REGION") or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    style = env.get(f"{PREFIX}PATH_STYLE", "").lower()
    return S3(
        endpoint=endpoint,
        region=region or _REGION,
        path_style=style in ("true", "1", "yes", "on") if style else bool(endpoint),
        retries=int(env.get(f"{PREFIX}RETRIES") or _RETRIES),
    )


def use(endpoint: str, region: str, path_style: bool | None, retries: int | None) -> None:
    """Have everything in this process, and what it starts, reach S3 so."""
    given: dict[str, Any] = {
        "ENDPOINT": endpoint,
        "REGION": region,
        "PATH_STYLE": path_style,
        "RETRIES": retries,
    }
    for name, value in given.items():
        if value not in (None, ""):
            os.environ[PREFIX + name] = str(value).lower() if name == "PATH_STYLE" else str(value)


def is_set(environment: Mapping[str, str] | None = None) -> bool:
    """Whether somebody said where S3 is."""
    env = os.environ if environment is None else environment
    return bool(from_environment(env).endpoint or env.get(f"{PREFIX}REGION"))


def for_libraries() -> None:
    """Let deltalake, which reads the environment by itself, find what is set here."""
    here = from_environment()
    if here.endpoint:
        os.environ["AWS_ENDPOINT_URL"] = here.endpoint
        os.environ["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] = str(not here.path_style).lower()
    if here.plain_http:
        os.environ["AWS_ALLOW_HTTP"] = "true"
    os.environ.setdefault("AWS_REGION", here.region)


def arrow() -> Any:
    """Arrow's file system; its retries wait longer each time."""
    return _arrow(os.getpid(), from_environment(), _credentials())


def objects(bucket: str) -> Any:
    """obstore's store of a bucket, for what Arrow does not know: conditional writes.

    Raises:
        StorageError: obstore is not installed.
    """
    return _objects(os.getpid(), bucket, from_environment(), _credentials())


def _credentials() -> tuple[str | None, ...]:
    """By which it is seen that keys were renewed."""
    return tuple(os.environ.get(name) for name in (*_SECRET, *_IDENTITY))


@cache
def _arrow(_pid: int, s3: S3, _keys: tuple[str | None, ...]) -> Any:
    from pyarrow import fs as pafs

    where: dict[str, Any] = {}
    if s3.endpoint:
        where = {"endpoint_override": s3.endpoint, "force_virtual_addressing": not s3.path_style}
        where["scheme"] = "http" if s3.plain_http else "https"
    return pafs.S3FileSystem(
        region=s3.region,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=s3.retries),
        connect_timeout=_CONNECT,
        request_timeout=_REQUEST,
        **where,
    )


@cache
def _objects(_pid: int, bucket: str, s3: S3, _keys: tuple[str | None, ...]) -> Any:
    from datetime import timedelta

    store = obstore_store()
    return store.S3Store(
        bucket,
        region=s3.region,
        virtual_hosted_style_request=not s3.path_style,
        client_options={
            "allow_http": s3.plain_http,
            "timeout": timedelta(seconds=_REQUEST),
            "connect_timeout": timedelta(seconds=_CONNECT),
        },
        retry_config={"max_retries": s3.retries},
        **({"endpoint": s3.endpoint} if s3.endpoint else {}),
    )


def obstore_store() -> Any:
    """The module `obstore.store`.

    Raises:
        StorageError: it is not installed.
    """
    try:
        import obstore.store
    except ImportError:
        raise StorageError(
            "writing to an object store needs obstore, which is not installed: install "
            "tfspark[stores]"
        ) from None
    return obstore.store


def spark_settings() -> dict[str, str]:
    """Of Spark: the same for S3A, the jars if this machine has them, executors' environment.

    Without the keys, which S3A finds in the environment too.
    """
    s3 = from_environment()
    made = {
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3n.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.endpoint.region": s3.region,
        "spark.hadoop.fs.s3a.path.style.access": str(s3.path_style).lower(),
        "spark.hadoop.fs.s3a.attempts.maximum": str(s3.retries),
    }
    if s3.endpoint:
        made["spark.hadoop.fs.s3a.endpoint"] = s3.endpoint
        made["spark.hadoop.fs.s3a.connection.ssl.enabled"] = str(not s3.plain_http).lower()
    names = [*_IDENTITY, "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"]
    names += ["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"]
    names += [name for name in os.environ if name.startswith(PREFIX)]
    return made | _for_executors(names)


def secret_settings() -> dict[str, str]:
    """Of Spark: the keys, for executors. They must not be on the command line of a JVM."""
    return _for_executors(_SECRET)


def _for_executors(names: Iterable[str]) -> dict[str, str]:
    return {f"spark.executorEnv.{name}": os.environ[name] for name in names if os.environ.get(name)}


def jars() -> list[str]:
    """The jars of hadoop-aws that `make stores` put on this machine; none without it."""
    stores = os.environ.get("TFSPARK_STORES") or Path.home() / ".cache" / "tfspark" / "stores"
    return sorted(str(jar) for jar in Path(stores, "hadoop-aws").glob("*.jar"))
