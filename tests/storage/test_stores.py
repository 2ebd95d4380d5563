"""The stores that tests start are what they claim to be: two makes of S3, and HDFS."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
from pyarrow.fs import FileSelector

from tests.stores import S3, Hdfs, Yarn, jars

pytest.importorskip("obstore")


def conditional(server: S3) -> None:
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        server.bucket,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.key,
        secret_access_key=server.secret,
        client_options={"allow_http": True},
    )
    obstore.put(store, "a b/once%3A", b"1", mode="create")
    with pytest.raises(Exception, match="already exists"):
        obstore.put(store, "a b/once%3A", b"2", mode="create")
    found = server.files().get_file_info(FileSelector(f"{server.bucket}/a b"))
    assert [info.path for info in found] == [f"{server.bucket}/a b/once%3A"]
    obstore.delete(store, "a b/once%3A")


def test_a_second_create_is_refused_by_s3(s3_server: S3) -> None:
    conditional(s3_server)
    where = urlsplit(s3_server.endpoint).netloc
    connection = http.client.HTTPConnection(where, timeout=10)
    connection.request("GET", f"/{s3_server.bucket}/")
    assert connection.getresponse().status == 403, "no keys, no answer"
    connection.close()


def test_a_second_create_is_refused_by_the_other_make(s3_server: S3, s3_other: S3) -> None:
    assert s3_other.make != s3_server.make
    conditional(s3_other)


def test_hdfs_answers_python(hdfs_server: Hdfs) -> None:
    import hdfs_native

    client = hdfs_native.Client(hdfs_server.uri)
    client.mkdirs("/a b", create_parent=True)
    with client.create("/a b/x") as file:
        file.write(b"1")
    assert [status.path for status in client.list_status("/a b")] == ["/a b/x"]


def test_yarn_has_a_node(yarn_cluster: Yarn) -> None:
    said = (yarn_cluster.conf / "yarn-site.xml").read_text("utf-8")
    assert yarn_cluster.uri in said
    assert jars("yarn")
