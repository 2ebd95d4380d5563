"""S3 that fails as stores do: what is written is there once, or a later try does it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from tests.conftest import ROOT
from tests.lanes import SOAK
from tests.storage.proxy import Busy, Expires, Fault, Hold, Loses, Resets, Slow, proxy
from tests.stores import S3
from tfspark import storage
from tfspark.errors import StoreBusy
from tfspark.tfrecord.codec.schema import layout_of
from tfspark.tfrecord.folder import commit, parts
from tfspark.tfrecord.folder.manifest import list_folder

JVM = "tfspark_tfrecord_jvm"
ODD = ["a b", "x:y", "p%q", "é"]


def use(server: S3, patch: pytest.MonkeyPatch, endpoint: str = "") -> None:
    for name, value in server.environment.items():
        patch.setenv(name, value)
    if endpoint:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)


def test_an_answer_that_is_lost(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest that was replaced was replaced by us, though nobody could say so."""
    path = f"s3a://{s3_server.bucket}/lost/m.json"
    with proxy(s3_server.endpoint) as between:
        use(s3_server, monkeypatch, between.endpoint)
        storage.write_new(path, b"1")
        for content in (b"2", b"3"):
            found = storage.read_version(path)
            assert found is not None
            between.faults[:] = [Loses("PUT /.*m.json")]
            storage.write_over(path, content, found[1])
            assert storage.read_bytes(path) == content
        with pytest.raises(FileExistsError):
            storage.write_over(path, b"4", found[1])


def test_keys_that_expire(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"s3a://{s3_server.bucket}/expired/k"
    with proxy(s3_server.endpoint, Expires(0)) as between:
        use(s3_server, monkeypatch, between.endpoint)
        asked: list[Callable[[], object]] = [
            lambda: storage.write_bytes(path, b"x"),
            lambda: storage.read_bytes(path),
            lambda: storage.files(path),
            lambda: storage.upload(__file__, path),
        ]
        for ask in asked:
            with pytest.raises(StoreBusy, match="expired"):
                ask()


def test_the_jvm_and_python_write_one_folder(
    spark: SparkSession, s3_server: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No commit is lost, and the manifest is never gone; one in ten requests fails."""
    bucket = "records-jvm"
    s3_server.files().create_dir(bucket)
    use(s3_server, monkeypatch)
    path = f"s3a://{bucket}/t x"
    rows = spark.createDataFrame(list(enumerate(ODD)), "x long, c string").coalesce(1)
    layout, by = layout_of(pa.schema({"x": pa.int64()})), pa.schema({"c": pa.string()})
    batch = pa.record_batch({"x": range(4), "c": ODD})
    with proxy(s3_server.endpoint) as between:
        s3_server.show(spark, bucket, between.endpoint)

        def by_jvm() -> None:
            rows.write.format(JVM).mode("append").partitionBy("c").save(path)

        by_jvm()
        hold = Hold(r"PUT /[^/]*/[^/]*/_manifest\.json")
        between.faults[:] = [Busy(10), hold]
        late = threading.Thread(target=by_jvm)
        late.start()
        assert hold.held.wait(60), between.seen
        mine = commit.begin(path, layout, by)
        mine.commit(parts.write_parts(mine, [batch], parts.Cut(), 0, "a"))
        hold.let_go()
        late.join(60)
        assert spark.read.format(JVM).load(path).count() == 3 * len(ODD)
        assert not [one for one in between.seen if one.startswith("DELETE") and "_manifest" in one]
    folder = list_folder(path)
    assert folder.manifest is not None
    assert (folder.manifest.rows, len(folder.manifest.files)) == (12, 12)
    assert {name for name, _ in storage.files(path) if ".tfrecord" in name} == {
        *folder.manifest.files
    }
    assert storage.names(f"{path}/_staging") == []


FAULTS: dict[str, Callable[[], Fault]] = {
    "busy": lambda: Busy(10),
    "resets": lambda: Resets(10),
    "slow": lambda: Slow(0.2),
    "expires": lambda: Expires(150),
}


@pytest.mark.skipif(SOAK not in os.environ, reason="minutes: make soak")
@pytest.mark.parametrize("fault", FAULTS)
def test_whole_jobs(
    fault: str, s3_server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done, or "try again later" with what was there before, whole; and then done."""
    warehouse = f"s3a://{s3_server.bucket}/faults-{fault}"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    use(s3_server, monkeypatch)

    def codes(endpoint: str) -> list[int]:
        use(s3_server, monkeypatch, endpoint)
        command = [sys.executable, "-m", "tests.storage.jobs", warehouse, "codes"]
        ran = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-8000:]
        assert s3_server.secret not in ran.stdout + ran.stderr
        return [int(code) for code in ran.stdout.strip().rsplit("\n", 1)[-1].split()]

    assert codes("") == [0, 0, 0]
    with proxy(s3_server.endpoint, FAULTS[fault]()) as between:
        found = codes(between.endpoint)
    print(fault, found)
    assert set(found) <= {0, 75}
    use(s3_server, monkeypatch)
    table = DeltaTable(
        f"s3://{s3_server.bucket}/faults-{fault}/scored/passengers",
        storage_options=s3_server.environment,
    )
    assert table.to_pyarrow_dataset().count_rows() == 712
    assert codes("") == [0, 0, 0]
