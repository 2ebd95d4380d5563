"""What a path means, what a store's errors mean, and how S3 is told to everybody."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace as Fake
from typing import Any
from zipfile import ZipFile

import pytest

from scripts import log_store
from tfspark import places, storage
from tfspark.config import load_settings
from tfspark.errors import ConfigError, StorageError, StoreBusy
from tfspark.session import _object_stores
from tfspark.storage import owner, s3
from tfspark.storage.failures import failure

KEY = "a b/x%3Ay#q?é:z"


@pytest.mark.parametrize(
    ("path", "scheme", "inner", "for_spark", "for_delta"),
    [
        ("/a b/é", "file", "/a b/é", "file:///a%20b/%C3%A9", "/a b/é"),
        ("file:///a%20b", "file", "/a b", "file:///a%20b", "/a b"),
        (
            f"s3://b/{KEY}",
            "s3",
            f"b/{KEY}",
            f"s3a://b/{KEY}",
            "s3://b/a%20b/x%253Ay%23q%3F%C3%A9%3Az",
        ),
        ("s3a://b", "s3", "b", "s3a://b/", "s3://b/"),
        ("s3n://b/k/", "s3", "b/k", "s3a://b/k", "s3://b/k"),
        ("hdfs://h:9/a b", "hdfs", "/a b", "hdfs://h:9/a b", "hdfs://h:9/a%20b"),
        ("hdfs:///a", "hdfs", "/a", "hdfs:///a", "hdfs:///a"),
        ("gs://b/k", "gs", "b/k", "gs://b/k", "gs://b/k"),
        (
            "abfss://c@acc.dfs.core.windows.net/k",
            "abfs",
            "c/k",
            "abfss://c@acc.dfs.core.windows.net/k",
            "abfss://c@acc.dfs.core.windows.net/k",
        ),
    ],
)
def test_a_path_is_parsed_once(
    path: str, scheme: str, inner: str, for_spark: str, for_delta: str
) -> None:
    place = storage.parse(path)
    assert (place.scheme, place.inner) == (scheme, inner)
    assert (place.for_spark, place.for_delta) == (for_spark, for_delta)


def test_what_is_no_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, said in (
        ("dbfs:/x", "dbfs://HOST-OR-BUCKET/PATH"),
        ("hdfs:/x", "hdfs://HOST-OR-BUCKET/PATH"),
        ("S3://b/x", "small letters"),
        ("ftp://h/x", "cannot open the file system of ftp://h/x"),
    ):
        with pytest.raises(StorageError, match=said):
            storage.make_dir(path)
    assert list(tmp_path.iterdir()) == []
    storage.make_dir("./dbfs:/x")
    assert Path("dbfs:/x").is_dir()


def test_what_deltalake_does_not_open() -> None:
    """It makes the folder `a%20b` on HDFS, beside the one that Spark reads."""
    assert storage.for_delta("hdfs://h:9/a/day=1") == "hdfs://h:9/a/day=1"
    with pytest.raises(StorageError, match="rename the folder"):
        storage.for_delta("hdfs://h:9/a b")


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        ("AWS Error ACCESS_DENIED during HeadObject operation", StorageError, "AWS_ACCESS_KEY_ID"),
        ("AWS Error UNKNOWN (HTTP status 403)", StorageError, "AWS_ACCESS_KEY_ID"),
        ("AWS Error NO_SUCH_BUCKET during PutObject", StorageError, "no such bucket"),
        ("AWS Error SLOW_DOWN: Please reduce your request rate", StoreBusy, "try again later"),
        ("Generic S3 error: 503 Service Unavailable", StoreBusy, "try again later"),
        ("NETWORK_CONNECTION: curlCode: 28, Timeout was reached", StoreBusy, "try again later"),
        ("AuthorizationHeaderMalformed: expecting eu-1", StorageError, "storage.s3.region"),
        ("something else", StorageError, "something else"),
    ],
)
def test_what_a_store_says(raised: str, kind: type[StorageError], said: str) -> None:
    found = failure("write", "s3a://b/k", OSError(raised))
    assert type(found) is kind
    assert str(found).startswith("cannot write s3a://b/k: ")
    assert said in str(found)
    assert found.exit_code == (75 if kind is StoreBusy else 6)


def test_of_this_machine_an_error_says_what_it_always_said() -> None:
    found = failure("write", "/a", OSError("503 timed out"))
    assert (type(found), str(found)) == (StorageError, "cannot write /a: 503 timed out")


def test_one_section_reaches_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", s3.PREFIX)):
            monkeypatch.delenv(name)
    keep_environment(monkeypatch)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "CANARY")
    assert not s3.is_set()
    file = tmp_path / "c.yaml"
    file.write_text("storage: {s3: {endpoint: 'http://127.0.0.1:9', region: eu-1, retries: 3}}")
    load_settings(str(file))
    assert s3.from_environment() == s3.S3("http://127.0.0.1:9", "eu-1", True, 3)
    monkeypatch.setenv("TFSPARK_STORES", str(tmp_path))
    with pytest.raises(ConfigError, match="make stores"):
        _object_stores({}, submitted=False)
    (tmp_path / "hadoop-aws").mkdir()
    (tmp_path / "hadoop-aws" / "hadoop-aws-3.5.0.jar").touch()
    made = _object_stores({"spark.driver.extraClassPath": "/mine.jar"}, submitted=False)
    assert made["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:9"
    assert made["spark.hadoop.fs.s3a.endpoint.region"] == "eu-1"
    assert made["spark.hadoop.fs.s3a.path.style.access"] == "true"
    assert made["spark.hadoop.fs.s3a.connection.ssl.enabled"] == "false"
    assert "CANARY" not in str(made)  # it is on the command line of a JVM
    assert s3.secret_settings() == {"spark.executorEnv.AWS_SECRET_ACCESS_KEY": "CANARY"}
    assert made["spark.executorEnv.TFSPARK_STORAGE__S3__ENDPOINT"] == "http://127.0.0.1:9"
    path = made["spark.driver.extraClassPath"].split(os.pathsep)
    assert path[0] == "/mine.jar"
    assert {Path(jar).name for jar in path} >= {"log_store.jar", "hadoop-aws-3.5.0.jar"}
    assert os.environ["AWS_ALLOW_HTTP"] == "true"
    assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"


def keep_environment(patch: pytest.MonkeyPatch) -> None:
    """What settings and libraries write to the environment goes with the test."""
    names = [s3.PREFIX + name for name in ("ENDPOINT", "REGION", "PATH_STYLE", "RETRIES")]
    names += ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ALLOW_HTTP"]
    for name in [*names, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST"]:
        before = os.environ.get(name)
        patch.setenv(name, "x")
        if before is None:
            patch.delenv(name)
        else:
            patch.setenv(name, before)


@pytest.mark.parametrize("warehouse", ["file:///a%20b/w", "/a b/w"])
def test_the_registry_of_a_warehouse(warehouse: str) -> None:
    settings = load_settings(None, {"warehouse": warehouse})
    assert settings.tracking_uri == "sqlite:////a b/w/mlflow.db"
    assert settings.artifacts == "file:///a%20b/w/mlflow-artifacts"


def test_the_registry_of_a_warehouse_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/home/me")
    one, same, other = (
        load_settings(None, {"warehouse": warehouse}).tracking_uri
        for warehouse in ("s3a://b/w", "s3://b/w/", "s3://b/v")
    )
    assert one == same != other
    assert one.startswith("sqlite:////home/me/tfspark/registries/")


def spark_of(default: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(places, "default_file_system", lambda spark: default)
    return Fake()


def test_a_path_without_a_scheme_means_one_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [("score.output", "/a b")]
    places.one_meaning(spark_of("file:///", monkeypatch), named)
    spark = spark_of("hdfs://h:9", monkeypatch)
    with pytest.raises(ConfigError, match=r"score.output: /a b .*hdfs://h:9/a b, or file:///a%20b"):
        places.one_meaning(spark, named)
    places.one_meaning(spark, [("x", "hdfs://h:9/a"), ("y", "file:///a"), ("z", "")])


def test_who_lives() -> None:
    mine = owner.note()
    assert owner.lives(mine, "x")
    # The number is another process's now.
    assert not owner.lives(mine | {"started": mine["started"] + 1}, "x")
    # Another container of this host, in which this number is somebody else's.
    other = mine | {"namespace": "pid:[1]", "pid": 2**22}
    assert owner.lives(other, "x")
    assert not owner.lives(other | {"renewed": time.time() - 7 * 3600}, "x")
    # A machine of the same name that was started again, or another one of that name.
    assert owner.lives(mine | {"boot": "else", "pid": 2**22}, "x")
    assert mine["host"] == socket.gethostname()


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [(503, StoreBusy, "try again later"), (403, StorageError, "AWS_ACCESS_KEY_ID")],
)
def test_a_server_that_refuses(
    code: int, kind: type[StorageError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked of it: one of our errors, with the place and without the key."""

    class Refuses(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = refuse  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "CANARY")
    monkeypatch.setenv(f"{s3.PREFIX}ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv(f"{s3.PREFIX}RETRIES", "1")
    keep_environment(monkeypatch)
    path = "s3a://bucket/k"
    asked: list[Callable[[], object]] = [
        lambda: storage.exists(path),
        lambda: storage.names(path),
        lambda: storage.files(path),
        lambda: storage.sha256(path),
        lambda: storage.read_bytes(path),
        lambda: storage.find_json(path),
        lambda: storage.read_version(path),
        lambda: storage.write_bytes(path, b"x"),
        lambda: storage.write_new(path, b"x"),
        lambda: storage.write_over(path, b"x", "v"),
        lambda: storage.move(path, f"{path}2"),
        lambda: storage.delete_file(path),
        lambda: storage.delete(path),
    ]
    try:
        for number, ask in enumerate(asked):
            with pytest.raises(StorageError) as caught:
                ask()
            assert type(caught.value) is kind, (number, caught.value)
            assert path in str(caught.value)
            assert said in str(caught.value)
            assert "CANARY" not in str(caught.value)
        storage.discard(path)
    finally:
        server.shutdown()
        server.server_close()


def test_the_log_store_is_built_of_its_source() -> None:
    with ZipFile(log_store.JAR) as jar:
        assert jar.namelist() == ["tfspark/delta/ConditionalLogStore.class"]
        assert jar.comment.decode() == log_store.source_sum(), "run scripts/log_store.py"
