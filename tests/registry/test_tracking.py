"""MLflow: a store of one's own, a server, what `models:/` URIs mean."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import saved_models as models
from tests.mlflow_server import mlflow_server
from tfspark.errors import ConfigError, IntegrityError, ModelNotFound, StorageError
from tfspark.registry import connect as connecting
from tfspark.registry.connect import connect
from tfspark.registry.manifest import MANIFEST, write_manifest
from tfspark.registry.resolve import resolve_model
from tfspark.registry.tracking import COMPLETE, SHA256, Store, download


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store for all tests here: its migrations take seconds. Models have other names."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/deep/folder/mlflow.db"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    return folder


def register(uri: str, name: str, model: Path, complete: bool = True) -> tuple[Store, int, str]:
    store = Store(uri, name)
    run_id = store.start_run(name, f"file://{model.parent}/artifacts", f"key of {name}", {})
    number = store.new_version(run_id, f"key of {name}")
    store.upload(run_id, str(model))
    if complete:
        store.tag(number, COMPLETE, "true")
    return store, number, run_id


def test_a_store_is_made_whole_or_not_at_all(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(uri)
    folder = Path(uri.removeprefix("sqlite:///")).parent
    assert [path.name for path in folder.iterdir()] == ["mlflow.db"]

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(connecting.os, "link", killed)
    with pytest.raises(Killed):
        connect(f"sqlite:///{tmp_path}/mlflow.db")
    assert not (tmp_path / "mlflow.db").exists()


def test_names_versions_and_aliases(uri: str, model: Path) -> None:
    store, number, _ = register(uri, "one", model)
    assert number == 1
    store.set_alias("champion", 1)
    for named in ("models:/one@champion", "models:/one/1"):
        folder, name, version, *_ = download(named, uri)
        assert (name, version) == ("one", "1")
        assert (Path(folder) / "variables" / "variables.index").read_bytes() == b"index"
    assert store.aliases() == {"champion": 1}


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("models:/two@nobody", r"no such version; there are 1, @challenger \(1\)"),
        ("models:/two/7", r"no such version; there are 1, @challenger \(1\)"),
        ("models:/nothing/1", r"no model nothing \(there are: .*two"),
        ("models:/two", "write models:/name@alias or models:/name/3"),
        ("models:/two/latest", "write models:/name@alias"),
        ("models:/two@a@b", "write models:/name@alias"),
    ],
)
def test_a_model_that_is_not_there(uri: str, model: Path, named: str, said: str) -> None:
    store = Store(uri, "two")
    if not store.versions("key of two"):
        register(uri, "two", model)
        store.set_alias("challenger", 1)
    with pytest.raises(ModelNotFound, match=said):
        download(named, uri)


def test_a_version_that_is_not_complete_is_not_given_out(uri: str, model: Path) -> None:
    register(uri, "three", model, complete=False)
    with pytest.raises(ModelNotFound, match="version 1 was not finished"):
        download("models:/three/1", uri)


def test_a_version_that_others_registered(uri: str, model: Path) -> None:
    client = connect(uri)
    client.create_registered_model("theirs")
    client.create_model_version("theirs", str(model))
    assert download("models:/theirs/1", uri) == (str(model), "theirs", "1", False, None)


def test_a_version_of_ours_keeps_the_manifest_that_was_registered(uri: str, tmp_path: Path) -> None:
    folder = Path(models.mlp(tmp_path / "m"))
    write_manifest(str(folder), {"name": "pinned"})
    store, number, _ = register(uri, "pinned", folder)
    (file,) = (tmp_path / "artifacts").rglob(MANIFEST)
    named, honest = "models:/pinned/1", file.read_bytes()
    # Versions of before have no such tag.
    assert resolve_model(named, uri).version == "1"
    store.tag(number, SHA256, hashlib.sha256(honest).hexdigest())
    assert resolve_model(named, uri).version == "1"
    data = next(file.parent.rglob("*.data*"))
    data.write_bytes(data.read_bytes()[::-1])
    file.unlink()
    with pytest.raises(IntegrityError, match="is not there, and the registry says that tfspark"):
        resolve_model(named, uri)
    write_manifest(str(file.parent), {"name": "pinned"})
    with pytest.raises(IntegrityError, match="is not the one that was registered"):
        resolve_model(named, uri)


def test_files_that_are_gone(uri: str, model: Path) -> None:
    client = connect(uri)
    client.create_registered_model("gone")
    client.create_model_version("gone", str(model / "nowhere"))
    with pytest.raises(StorageError, match=r"MLflow at sqlite.*nowhere"):
        download("models:/gone/1", uri)


def test_a_killed_run_is_taken_up_and_nothing_is_logged_twice(uri: str, model: Path) -> None:
    store = Store(uri, "four")
    place = f"file://{model.parent}/artifacts"
    first = store.start_run("four", place, "k", {"a": "b"})
    store.log_curves(first, {"loss": [3.0, 2.0]})
    assert store.start_run("four", place, "k", {}) == first
    assert store.start_run("four", place, "other", {}) != first
    store.log_curves(first, {"loss": [3.0, 2.0, 1.0]})
    points = store.client.get_metric_history(first, "loss")
    assert [(p.step, p.value) for p in points] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    store.log_metrics(first, {"auc": 0.5})
    store.log_metrics(first, {"auc": 0.5})
    assert len(store.client.get_metric_history(first, "auc")) == 1
    store.end_run(first)
    store.end_run(first)
    assert store.start_run("four", place, "k", {}) != first


def test_long_curves(uri: str) -> None:
    store = Store(uri, "five")
    run_id = store.start_run("five", None, "k", {})
    store.log_curves(run_id, {"loss": [float(i) for i in range(1201)]})
    assert len(store.client.get_metric_history(run_id, "loss")) == 1201


def test_places_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFound, match="there is no registry at sqlite.*train a model"):
        download("models:/x/1", f"sqlite:///{tmp_path}/nothing.db")
    assert not (tmp_path / "nothing.db").exists()
    with pytest.raises(ConfigError, match=r"no file of this machine; set registry.tracking_uri"):
        connect("sqlite:///hdfs://cluster/warehouse/mlflow.db")
    (tmp_path / "broken.db").write_bytes(b"this is no database, though it is here" * 100)
    with pytest.raises(StorageError, match=r"MLflow at sqlite:.*broken.db"):
        connect(f"sqlite:///{tmp_path}/broken.db")


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        where = f"http://user:geheim@127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(StorageError, match=r"http://user:\*\*\*@127.0.0.1") as caught:
            Store(where, "x").versions("k")
    assert "geheim" not in str(caught.value)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with mlflow_server(tmp_path) as where:
        yield where


def test_a_server_keeps_the_files(server: str, model: Path) -> None:
    store = Store(server, "served")
    run_id = store.start_run("served", None, "k", {})
    number = store.new_version(run_id, "k")
    store.upload(run_id, str(model))
    store.set_alias("champion", number)
    store.tag(number, COMPLETE, "true")
    assert [v.complete for v in store.versions("k")] == [True]
    folder, name, version, *_ = download("models:/served@champion", server)
    assert (name, version) == ("served", "1")
    assert (Path(folder) / "saved_model.pb").read_bytes() == b"graph"
    with pytest.raises(ModelNotFound, match="no such version"):
        download("models:/served@nobody", server)
