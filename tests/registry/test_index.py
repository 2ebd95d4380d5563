"""The index of a SQLite registry: what it holds, and that a change by others shows."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tfspark.cli import main
from tfspark.registry import index as indexing
from tfspark.registry.connect import connect
from tfspark.registry.download import download
from tfspark.registry.index import index_file, refresh
from tfspark.registry.tracking import COMPLETE, TRAIN_KEY, Store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model, two versions, the first one champion. MLflow's migrations take seconds."""
    folder = tmp_path_factory.mktemp("registry")
    store = Store(f"sqlite:///{folder}/mlflow.db", "m")
    run_id = store.start_run("m", f"file://{folder}/artifacts", "key", {})
    saved = folder / "saved"
    saved.mkdir()
    (saved / "saved_model.pb").write_bytes(b"graph")
    store.upload(run_id, str(saved))
    for _ in range(2):
        store.tag(store.new_version(run_id, "key"), COMPLETE, "true")
    store.set_alias("champion", 1)
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    for name in ("mlflow.db", "mlflow.db.models.json"):
        shutil.copy(made / name, tmp_path)
    return Store(f"sqlite:///{tmp_path}/mlflow.db", "m")


def file(store: Store) -> Path:
    return Path(store.uri.removeprefix("sqlite:///"))


def index(store: Store) -> Any:
    return json.loads(index_file(file(store)).read_text())


def is_current(store: Store) -> bool:
    with file(store).open("rb") as opened:
        return bool(index(store)["changes"] == int.from_bytes(opened.read(28)[24:], "big"))


def test_the_index_follows_what_we_write(store: Store) -> None:
    source = store.client.get_model_version_download_uri("m", "1")
    version = {"source": source, "tags": {COMPLETE: "true", TRAIN_KEY: "key"}}
    models = {"m": {"aliases": {"champion": "1"}, "versions": {"1": version, "2": version}}}
    assert index(store)["models"] == models
    assert is_current(store)
    store.set_alias("challenger", 2)
    assert index(store)["models"]["m"]["aliases"] == {"champion": "1", "challenger": "2"}
    assert is_current(store)


def test_a_change_by_another_client_shows_until_it_is_indexed(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    mlflow = MlflowClient(store.uri, store.uri)
    mlflow.set_registered_model_alias("m", "champion", "2")
    assert not is_current(store)
    assert main("registry", [store.uri]) == 0
    assert "mlflow.db.models.json: is up to date" in capsys.readouterr().out
    assert is_current(store)
    assert index(store)["models"]["m"]["aliases"] == {"champion": "2"}
    # To resolve a model here is enough; to read otherwise changes nothing.
    mlflow.delete_model_version("m", "1")
    download("models:/m@champion", store.uri)
    assert list(index(store)["models"]["m"]["versions"]) == ["2"]
    before = index_file(file(store)).stat().st_mtime_ns
    assert store.aliases() == {"champion": 2}
    assert index_file(file(store)).stat().st_mtime_ns == before


def test_a_version_of_a_run_has_its_files_place(store: Store) -> None:
    run_id = store.client.search_runs(["1"])[0].info.run_id
    store.client.create_model_version("m", f"runs:/{run_id}/model", run_id=run_id)
    refresh(store.client, store.uri)
    versions = index(store)["models"]["m"]["versions"]
    assert versions["3"]["source"] == versions["1"]["source"]


def test_a_change_while_it_is_made_is_in_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real, others = indexing._models, [2, 1, 2]

    def late(client: Any) -> dict[str, Any]:
        models = real(client)
        if others:
            MlflowClient(store.uri, store.uri).set_registered_model_alias(
                "m", "champion", str(others.pop())
            )
        return models

    monkeypatch.setattr(indexing, "_models", late)
    store.set_alias("challenger", 1)
    assert not others
    assert index(store)["models"]["m"]["aliases"] == {"champion": "2", "challenger": "1"}
    assert is_current(store)


def test_a_damaged_index_is_made_anew(store: Store) -> None:
    before = index(store)
    for damaged in ('{"chan', "[]", "[" * 100_000, json.dumps({**before, "format": 1})):
        index_file(file(store)).write_text(damaged)
        store.aliases()
        assert index(store) == before


def test_a_store_that_may_only_be_read(store: Store) -> None:
    """Root may write everywhere: a folder is in the way instead."""
    path = index_file(file(store))
    path.unlink()
    path.mkdir()
    (path / "x").touch()
    assert download("models:/m@champion", store.uri)[1:3] == ("m", "1")


def test_a_store_with_a_wal_has_no_index(store: Store) -> None:
    path = index_file(file(store))
    path.unlink()
    with sqlite3.connect(file(store)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    database.close()
    refresh(connect(store.uri), store.uri)
    assert not path.exists()


@pytest.mark.parametrize("uri", ["http://localhost:1", "sqlite:////nowhere/mlflow.db"])
def test_the_command_takes_sqlite_files(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("registry", [uri]) == 2
    assert f"{uri}: there is no SQLite file" in capsys.readouterr().err
