"""What a cluster cannot reach is said, or refused, before anything is done there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tfspark import clusters
from tfspark.cli import main
from tfspark.config import load_settings
from tfspark.errors import ConfigError

K8S = {"spark.master": "k8s://https://host:6443"}
INSIDE = {"spark.submit.deployMode": "cluster"}
VOLUME = "spark.kubernetes.{}.volumes.{}.data.mount.path"


@pytest.mark.parametrize(
    ("conf", "refused"),
    [
        ({}, []),
        ({"spark.master": "local[4]"}, []),
        ({"spark.master": "local-cluster[2,1,1024]"}, []),
        # The driver is here, and a shared disk may be: the executors are asked.
        ({"spark.master": "spark://host:7077"}, []),
        ({"spark.master": "yarn"}, []),
        ({"spark.master": "yarn"} | INSIDE, ["warehouse", "registry.tracking_uri"]),
        ({"spark.master": "spark://host:7077"} | INSIDE, ["warehouse", "registry.tracking_uri"]),
        (K8S, ["warehouse", "registry.tracking_uri"]),
        (K8S | {VOLUME.format("executor", "nfs"): "/data"}, []),
        (
            K8S | {VOLUME.format("executor", "emptyDir"): "/data"},
            ["warehouse", "registry.tracking_uri"],
        ),
        (K8S | {VOLUME.format("executor", "nfs"): "/dat"}, ["warehouse", "registry.tracking_uri"]),
        (
            K8S | INSIDE | {VOLUME.format("executor", "nfs"): "/data"},
            ["warehouse", "registry.tracking_uri"],
        ),
        (
            K8S
            | INSIDE
            | {
                VOLUME.format(role, "persistentVolumeClaim"): "/data"
                for role in ("driver", "executor")
            },
            [],
        ),
    ],
)
def test_a_warehouse_that_nobody_there_sees_is_refused(
    conf: dict[str, str], refused: list[str]
) -> None:
    for warehouse in ("/data/w", "file:///data/w", "file:/data/w"):
        settings = load_settings(None, {"name": "n", "warehouse": warehouse})
        said = ""
        try:
            clusters.refuse(settings, conf)
        except ConfigError as error:
            said = str(error)
        assert [line.partition(":")[0] for line in said.splitlines()] == refused
        assert all(conf["spark.master"] in line for line in said.splitlines()[:1])


def test_stores_and_servers_pass() -> None:
    for warehouse in ("s3a://b/w", "s3://b/w", "hdfs://h:1/w", "dbfs:/w", "abfss://c@a/w"):
        asked = {"name": "n", "warehouse": warehouse, "registry.tracking_uri": "http://h:5000"}
        clusters.refuse(load_settings(None, asked), K8S | INSIDE)
    bare = {"score.input": "s3://b/t", "score.output": "s3://b/s", "score.model": "s3://b/m"}
    clusters.refuse(load_settings(None, bare), K8S)  # no name: no warehouse
    lost = load_settings(None, bare | {"score.output": "out/s"})
    with pytest.raises(ConfigError, match="score.output: 'out/s' is a folder of this machine"):
        clusters.refuse(lost, K8S)


def test_volumes_of_a_pod_template_count() -> None:
    template = ROOT / "conf" / "pod-template.yaml"
    conf = K8S | {"spark.kubernetes.executor.podTemplateFile": str(template)}
    found = clusters.cluster_of(conf)
    assert found is not None
    assert found.mounts == (), "its one volume is each pod's own"
    mounted = [m["mountPath"] for m in spec(template)["containers"][0]["volumeMounts"]]
    assert mounted == ["/tmp"]


def spec(template: Path) -> dict[str, list[dict[str, list[dict[str, str]]]]]:
    return dict(yaml.safe_load(template.read_text("utf-8"))["spec"])


def test_a_dry_run_lists_what_pods_do_not_reach(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    flags = ["--config", "conf/passengers.yaml", "--dry-run", "--date", "2026-11-20"]
    assert main("prepare", flags) == 0
    plain = capsys.readouterr().out
    assert main("prepare", [*flags, "--master", "k8s://https://host:6443"]) == 0
    shown = capsys.readouterr().out
    assert yaml.safe_load(shown) == yaml.safe_load(plain) | {"spark": K8S}
    said = [line for line in shown.splitlines() if line.startswith("#")]
    assert [line.split(": ")[1] for line in said] == [
        *("--config", "contract", "warehouse", "registry.tracking_uri", "source.path"),
    ]
    reached = ["--warehouse", "s3a://b/w", "--registry.tracking_uri", "http://h:5000"]
    reached += ["--source.path", "s3a://b/p.csv", "--contract", "/opt/tfspark/schemas/p.yaml"]
    assert main("prepare", [*flags, *reached, "--master", "k8s://https://host:6443"]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("#")]
    assert [line.split(": ")[1] for line in said] == ["--config"]


def test_a_contract_is_found_from_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("conf/passengers.yaml", "schemas/passengers.yaml"):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "project" / name)
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")  # as a driver on a cluster has a folder of its own
    config = str(tmp_path / "project" / "conf" / "passengers.yaml")
    above = f"{tmp_path}/project/schemas/passengers.yaml"
    assert load_settings(config).contract == above
    # Whoever names one himself means it as it is; and the working folder comes first.
    asked = {"contract": "schemas/other.yaml"}
    assert load_settings(config, asked).contract == "schemas/other.yaml"
    shutil.copytree(ROOT / "schemas", "schemas")
    assert load_settings(config).contract == "schemas/passengers.yaml"
    shutil.rmtree("schemas")
    shutil.copytree(ROOT / "schemas", tmp_path / "project" / "conf" / "schemas")
    beside = f"{tmp_path}/project/conf/schemas/passengers.yaml"
    assert load_settings(config).contract == beside


def test_executors_are_asked_whether_they_see_the_warehouse(tmp_path: Path) -> None:
    look = clusters._who_sees_not(str(tmp_path))
    assert list(look([])) == []
    clusters._SECONDS_TO_SEE, kept = 0, clusters._SECONDS_TO_SEE
    try:
        assert len(list(clusters._who_sees_not(str(tmp_path / "x"))([]))) == 1
    finally:
        clusters._SECONDS_TO_SEE = kept
