"""MLflow: a store of one's own, a server, what `models:/` URIs mean."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import saved_models as models
from tests.mlflow_server import mlflow_server
from tfspark.errors import ConfigError, IntegrityError, ModelNotFound, StorageError
from tfspark.registry import connect as connecting
from tfspark.registry.connect import connect
from tfspark.registry.download import download
from tfspark.registry.manifest import MANIFEST, write_manifest
from tfspark.registry.mlmodel import META, write_mlmodel
from tfspark.registry.resolve import resolve_model
from tfspark.registry.tracking import COMPLETE, SHA256, Store
from tfspark.tensors import default_null

MLFLOW_WARNS = pytest.mark.filterwarnings("ignore")
"""Its own modules warn of each other while they are imported."""


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
        ("models:/two", "write models:/name@alias, models:/name/3, models:/name/latest"),
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


@MLFLOW_WARNS
def test_what_mlflow_itself_logged(uri: str, tmp_path: Path, monkeypatch: Any) -> None:
    """A module in a folder of MLflow's, by each kind of URI; a Keras model: the message works."""
    import keras
    import mlflow
    import tensorflow as tf
    from mlflow.models import infer_signature

    module = tf.Module()
    spec = tf.TensorSpec([None, 2], tf.float32, name="f")
    module.serve = tf.function(lambda f: {"y": tf.reduce_sum(f, 1)}, [spec])
    module.__call__ = module.serve
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", uri)
    example = np.zeros([1, 2], "float32")
    about = {"signature": infer_signature(example, example[0, :1]), "pip_requirements": ["numpy"]}
    with mlflow.start_run() as run:
        logged = mlflow.tensorflow.log_model(
            module,
            name="mine",
            registered_model_name="logged",
            saved_model_kwargs={"signatures": module.serve},
            **about,
        )
        net = keras.Sequential([keras.Input([2], name="f"), keras.layers.Dense(1)])
        mlflow.tensorflow.log_model(net, name="net", registered_model_name="net", **about)
    named = ["models:/logged/1", "models:/logged/latest", f"models:/{logged.model_id}"]
    named += [logged.model_id, f"runs:/{run.info.run_id}/mine"]
    found = [resolve_model(name, uri) for name in named]
    assert {model.digest for model in found} == {found[0].digest}
    assert {model.path.split("/")[-1] for model in found} == {"tf2model"}
    assert [model.name for model in found] == ["logged", "logged", "mine", "mine", "mine"]
    with pytest.raises(ModelNotFound, match="export it once: ") as caught:
        resolve_model("models:/net/1", uri)
    said = re.search(r"export it once: (.*)\('FOLDER'\)", str(caught.value))
    assert said is not None
    eval(said[1], {"mlflow": mlflow})("exported")  # noqa: S307 - what the message says
    assert list(resolve_model("exported").signature.inputs) == ["f"]
    for name in ("models:/m-" + "0" * 32, "runs:/nobody/mine", "runs:/"):
        with pytest.raises(ModelNotFound, match="has no such model|write models:"):
            resolve_model(name, uri)


@MLFLOW_WARNS
def test_mlflow_opens_what_we_register(uri: str, tmp_path: Path, monkeypatch: Any) -> None:
    import mlflow

    folder = Path(models.mixed(tmp_path / "m"))
    plain = resolve_model(str(folder)).signature
    inputs = {
        name: replace(spec, null=default_null(spec.dtype)) for name, spec in plain.inputs.items()
    }
    write_mlmodel(str(folder), inputs, plain.outputs)
    declared = {name: spec.to_json() for name, spec in inputs.items()}
    write_manifest(str(folder), {"name": "opened", "inputs": declared})
    store, number, _ = register(uri, "opened", folder)
    store.set_alias("champion", number)
    (file,) = (tmp_path / "artifacts").rglob(MANIFEST)
    store.tag(number, SHA256, hashlib.sha256(file.read_bytes()).hexdigest())
    before = resolve_model("models:/opened@champion", uri).digest

    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", uri)
    opened = mlflow.pyfunc.load_model("models:/opened@champion")
    about = opened.metadata
    assert about.signature.inputs.input_names() == ["age", "sex", "siblings", "paid"]
    assert about.signature.outputs.input_names() == ["label", "p", "parts"]
    example = about.load_input_example(str(file.parent))
    assert opened.input_example.equals(example)
    assert opened.predict(example)["label"].tolist() == ["a-0"]
    rows = pd.DataFrame(
        {"age": [None, 20.0], "sex": ["f", None], "siblings": [2, 0], "paid": [True, False]},
        index=[7, 9],
    ).astype({"age": "float32"})
    scored = opened.predict(rows)
    assert scored["label"].to_dict() == {7: "f-2", 9: "-0"}
    assert scored["p"].tolist() == pytest.approx([12.3, 0.2])
    with pytest.raises(Exception, match="row 0 cannot be scored: siblings: outside the range|sib"):
        opened.predict(rows.assign(siblings=[None, 1]))
    # What MLflow has written beside the files is no file of the model.
    assert (file.parent / META).exists()
    assert resolve_model("models:/opened@champion", uri).digest == before


def test_the_registry_of_the_jobs_is_found(tmp_path: Path, model: Path, monkeypatch: Any) -> None:
    from tfspark.config import Settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    with pytest.raises(ModelNotFound, match=r"no registry at .*finds the jobs' own registry"):
        download("models:/own/1")
    settings = Settings(name="own")
    register(settings.tracking_uri, "own", model)
    assert download("models:/own/1").name == "own"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(ModelNotFound, match=r"other\.db"):
        download("models:/own/1")


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
    monkeypatch.chdir(tmp_path)
    connect("sqlite:///here.db")
    assert (tmp_path / "here.db").exists()
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
