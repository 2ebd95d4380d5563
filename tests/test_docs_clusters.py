"""The commands of docs/clusters.md, copied from there, beside the servers that they need.

Those of Kubernetes are in tests/test_docs_blocks.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import hdfs_native
import pytest
from deltalake import DeltaTable

from tests.conftest import PASSENGERS, ROOT
from tests.docs_blocks import BLOCK
from tests.lanes import SOAK
from tests.stores import S3, Hdfs, Yarn

PAGE = (ROOT / "docs" / "clusters.md").read_text("utf-8")
ROWS = 712
FAST = {
    "TFSPARK_TRAINING__EPOCHS": "2",
    "TFSPARK_DISTRIBUTED__RANKS": "2",
    "TFSPARK_REGISTRY__GATE": "{}",
}
in_the_soak = pytest.mark.skipif(SOAK not in os.environ, reason="three jobs: make soak")


def commands(section: str, here: Mapping[str, str]) -> str:
    """The first block of shell commands of a section, with what stands here for what it names."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    script = next(m["text"] for m in BLOCK.finditer(text) if m["language"] == "sh")
    for named, real in here.items():
        assert named in script, named
        script = script.replace(named, real)
    return script


def run(section: str, home: Path, here: Mapping[str, str], **environment: str) -> str:
    for name in ("conf", "schemas", "examples", "jobs"):
        shutil.copytree(ROOT / name, home / name)
    (home / ".venv").symlink_to(sys.prefix)
    path = f"{Path(sys.prefix, 'bin')}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-euc", commands(section, here)],
        cwd=home,
        env=os.environ | FAST | {"PATH": path, "PYTHONPATH": str(ROOT)} | environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-8000:]
    return ran.stdout


@in_the_soak
def test_s3(tmp_path: Path, s3_server: S3) -> None:
    here = {
        "http://127.0.0.1:7070": s3_server.endpoint,
        "testkey": s3_server.key,
        "test/secret+key": s3_server.secret,
        "us-east-1": s3_server.region,
        "s3a://tables/": f"s3a://{s3_server.bucket}/page/",
    }
    run("S3", tmp_path, here)
    table = f"s3://{s3_server.bucket}/page/warehouse/scored/passengers"
    assert rows(table, s3_server.environment) == ROWS


@in_the_soak
def test_hdfs(tmp_path: Path, hdfs_server: Hdfs) -> None:
    run("HDFS", tmp_path, {"hdfs://namenode:8020": f"{hdfs_server.uri}/page"})
    assert rows(f"{hdfs_server.uri}/page/warehouse/scored/passengers") == ROWS


@in_the_soak
def test_standalone(tmp_path: Path, cluster: str) -> None:
    shared = str(tmp_path / "shared")
    run("Standalone", tmp_path, {"spark://host:7077": cluster, "/shared": shared})
    assert rows(f"{shared}/warehouse/scored/passengers") == ROWS


def test_yarn(tmp_path: Path, yarn_cluster: Yarn, package: None) -> None:
    dist = ROOT / "dist"
    parts = ["library", "environment", "delta"]
    subprocess.run([sys.executable, "scripts/package.py", *parts], cwd=ROOT, check=True)
    # Once for all jobs: this cluster, without Hadoop's native library, takes minutes to unpack it.
    client = hdfs_native.Client(yarn_cluster.uri)
    with (dist / "environment.tar.gz").open("rb") as archive, client.create("/e.tar.gz") as copy:
        while piece := archive.read(1 << 24):
            copy.write(piece)
    client.mkdirs("/raw", create_parent=True)
    with client.create("/raw/passengers.csv") as copy:
        copy.write(PASSENGERS.read_bytes())
    here = {
        "dist/environment.tar.gz": f"{yarn_cluster.uri}/e.tar.gz",
        "/etc/hadoop/conf": str(yarn_cluster.conf),
        "hdfs://namenode:8020": yarn_cluster.uri,
        "dist/": f"{dist}/",
    }
    run("YARN", tmp_path, here, SPARK_LOCAL_IP="127.0.0.1")
    assert rows(f"{yarn_cluster.uri}/warehouse/scored/passengers") == ROWS


def rows(table: str, options: dict[str, str] | None = None) -> int:
    return int(DeltaTable(table, storage_options=options).to_pyarrow_dataset().count_rows())
