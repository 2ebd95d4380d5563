"""`train` from a dataset to a registered version: once, gated, and finished after any kill."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sizes import size
from tests.training.small_table import COLUMNS, SETTINGS, rows_of, write_dataset
from tfspark import storage
from tfspark.config import Settings, load_settings
from tfspark.console import Steps
from tfspark.dataset import open_dataset
from tfspark.errors import (
    ConfigError,
    GateError,
    IntegrityError,
    ModelNotFound,
    TrainingError,
    UnsafeModelError,
)
from tfspark.look.model import view
from tfspark.quality.evaluate import measure
from tfspark.registry.connect import connect
from tfspark.registry.download import download
from tfspark.registry.manifest import MANIFEST, read_manifest, verify
from tfspark.registry.resolve import resolve_model
from tfspark.registry.tracking import SHA256, Store
from tfspark.tensors import TensorSpec
from tfspark.training import train as job
from tfspark.training.key import train_key
from tfspark.training.train import train

Make = Callable[..., Settings]
ROWS = {"x": np.array([0.5, np.nan, 3.0]), "word": np.array([b"a", b"", b"zzz"], object)}


@pytest.fixture(autouse=True)
def ready(warehouse: Path, dataset: Path) -> None:
    """Every test has a dataset and an empty registry."""


@pytest.fixture
def store(tmp_path: Path) -> Any:
    return connect(f"sqlite:///{tmp_path}/mlflow.db")


def predictions(folder: str) -> list[float]:
    return list(predictor_of(folder)(ROWS["x"], ROWS["word"])[:, 0])


def predictor_of(folder: str) -> Callable[[Any, Any], Any]:
    """What the exported model says of `x` and `word`."""
    import tensorflow as tf

    call = tf.saved_model.load(folder).signatures["serving_default"]

    def predict(x: Any, word: Any) -> Any:
        given = {
            "x": tf.constant([np.nan if v is None else v for v in x], "float64"),
            "word": tf.constant([v or b"" for v in word]),
        }
        return call(**given)["probability"].numpy()

    return predict


class Trained:
    """A run that nobody killed, for those who only look at what it made."""

    def __init__(self, warehouse: Path) -> None:
        write_dataset(warehouse)
        self.warehouse = warehouse
        self.settings = load_settings(None, {"warehouse": str(warehouse), **SETTINGS})
        self.summary = train(self.settings, Steps("train"))
        self.store = connect(self.settings.tracking_uri)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Trained:
    warehouse = tmp_path_factory.mktemp("clean")
    (warehouse / "mlflow.db").write_bytes(empty_store.read_bytes())
    return Trained(warehouse)


def test_the_first_version_is_the_champion(trained: Trained) -> None:
    summary, settings = trained.summary, trained.settings
    assert summary["version"] == 1
    assert summary["aliases"] == "champion"
    assert summary["uri"] == "models:/small@champion"
    assert summary["rows"] == 90
    assert not summary["reused"]
    assert {"auc", "accuracy", "logloss", "rows", "recall", "f1"} <= set(summary["test"])
    model = resolve_model(summary["uri"], settings.tracking_uri)
    assert (model.name, model.version) == ("small", "1")
    assert model.signature.inputs["x"] == TensorSpec("float64", (), np.nan)
    assert model.signature.inputs["word"] == TensorSpec("string", (), "")
    assert list(model.signature.outputs) == ["probability"]
    assert {"MLmodel", "input_example.json"} <= set(model.files)
    assert predictions(model.path) == predictions(summary["folder"])
    assert len((model.manifest or {})["golden"]) == 20
    assert (Path(summary["folder"]) / "variables").is_dir()
    assert storage.names(str(trained.warehouse / "models" / "_staging")) == []
    assert not list((trained.warehouse / "checkpoints" / "small").iterdir())


def test_the_manifest_says_what_the_model_is(trained: Trained) -> None:
    summary = trained.summary
    manifest = read_manifest(summary["folder"])
    assert manifest is not None
    verify(summary["folder"], manifest)
    tags = trained.store.get_model_version("small", "1").tags
    assert tags[SHA256] == storage.sha256(storage.join(summary["folder"], MANIFEST))
    assert manifest["name"] == "small"
    assert manifest["version"] == "1"
    assert manifest["inputs"]["x"] == {"dtype": "float64", "shape": [], "null": "NaN"}
    assert manifest["outputs"] == {"probability": {"dtype": "float32", "shape": [1], "null": None}}
    assert manifest["classes"] == [0, 1]
    assert manifest["keys"] == ["id"]
    assert manifest["dataset"]["version"] == 1
    assert manifest["metrics"]["test"] == summary["test"]
    assert manifest["recipe"]["model"]["params"] == SETTINGS["model.params"]
    assert manifest["versions"]["tensorflow"]


def test_what_the_mlflow_run_holds(trained: Trained) -> None:
    summary, store = trained.summary, trained.store
    run = store.get_run(summary["mlflow_run"])
    assert run.info.status == "FINISHED"
    assert run.data.params["training.epochs"] == "3"
    assert run.data.params["model.params.units"] == "[4]"
    assert "numeric" in run.data.params["features.x"]
    assert run.data.metrics["test_auc"] == pytest.approx(summary["test"]["auc"])
    curve = store.get_metric_history(run.info.run_id, "val_loss")
    assert [point.step for point in curve] == [1, 2, 3]
    assert run.inputs.dataset_inputs[0].dataset.name == "small"
    assert len(run.data.tags["tfspark.dataset.digest"]) == 64
    files = {entry.path for entry in store.list_artifacts(run.info.run_id, "model")}
    assert {"model/saved_model.pb", "model/tfspark.json"} <= files
    assert run.info.run_name == "small v1"
    beside = {entry.path for entry in store.list_artifacts(run.info.run_id)}
    assert beside == {"model", "recipe.yaml", "contract.yaml"}
    folders = Path(summary["tensorboard"])
    assert {path.name for path in folders.iterdir()} == {"train", "validation"}


def test_slices_and_weights_are_measured(
    settings_of: Make, steps: Steps, store: Any, tmp_path: Path
) -> None:
    """In the summary, the manifest, MLflow and `show`; what cannot be one is refused at first."""
    for slices, said in ((["z"], "no column z"), (["x"], "x is double")):
        with pytest.raises(ConfigError, match=said):
            train(settings_of(model__slices=slices), steps)
    with pytest.raises(ConfigError, match="`role: weight`"):
        train(settings_of(registry__gate={"weighted_auc": 0.5}), steps)
    shutil.rmtree(tmp_path / "datasets")
    more: list[dict[str, Any]] = [
        {"name": "w", "physicalType": "double", "role": "weight"},
        {"name": "city", "physicalType": "string", "role": "ignore"},
    ]
    city = ["Köln", "Bonn", None] * 50
    rows = rows_of(150) | {"w": [float(n % 3) for n in range(150)], "city": city}
    write_dataset(tmp_path, rows, [*COLUMNS, *more])
    summary = train(settings_of(model__slices=["city"]), steps)
    assert summary["test"]["weighted_auc"] != summary["test"]["auc"]
    manifest = read_manifest(summary["folder"]) or {}
    slices = manifest["evaluation"]["slices"]["city"]
    assert [(one["value"], one["rows"]) for one in slices] == [
        ("Bonn", 10),
        ("Köln", 10),
        (None, 10),
    ]
    model = resolve_model(summary["folder"])
    call = predictor_of(model.path)
    test = {name: values[-30:] for name, values in rows.items()}
    for one in slices:
        own = [n for n in range(30) if test["city"][n] == one["value"]]
        said = call([test["x"][n] for n in own], [test["word"][n] for n in own])
        label = np.array([[float(test["y"][n])] for n in own])
        weight = np.array([test["w"][n] for n in own])
        wanted = measure("binary", label, said, 0.5, weight)
        assert {k: v for k, v in one.items() if k != "value"} == pytest.approx(wanted, abs=1e-6)
    assert summary["slices"]["auc.city.Köln"] == pytest.approx(slices[1]["auc"], abs=1e-5)
    logged = store.get_run(summary["mlflow_run"]).data.metrics
    assert logged["test_auc.city.Köln"] == pytest.approx(slices[1]["auc"])
    assert logged["test_weighted_auc"] == pytest.approx(summary["test"]["weighted_auc"])
    by = {section.title: section for section in view(summary["folder"], None).sections}
    assert [row[0] for row in by["By city"].rows] == ["Bonn", "Köln", "(none)"]
    assert [row[0] for row in by["By class"].rows] == ["0", "1"]
    assert "weighted_auc" in by["How good it was"].head


def test_the_same_training_is_reused_unless_it_is_forced(
    settings_of: Make,
    steps: Steps,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = train(settings_of(), steps)
    with monkeypatch.context() as patched:
        patched.setattr("tfspark.registry.tracking.connect", no_mlflow)
        again = train(settings_of(), steps)
        looked = [None]  # another job has trained it when this one gets its turn
        complete = job._complete
        patched.setattr(job, "_complete", lambda maker: looked.pop() if looked else complete(maker))
        assert train(settings_of(), steps)["version"] == 1
    assert again["reused"]
    assert again["version"] == 1
    assert again["test"] == first["test"]
    forced = train(settings_of(training__force=True), steps)
    assert (forced["version"], forced["aliases"]) == (2, "challenger")
    said = capsys.readouterr().err
    assert "on the test split, challenger 2: accuracy 0." in said
    assert "; champion 1: accuracy 0." in said
    assert "tfspark judge small 2" in said
    assert "tfspark promote small 2" in said
    assert predictions(forced["folder"]) == predictions(first["folder"])
    assert train(settings_of(), steps)["version"] == 2


def test_two_equal_trainings_at_once_are_one_version(settings_of: Make, steps: Steps) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: train(settings_of(), steps), range(2)))
    assert [one["version"] for one in both] == [1, 1]
    assert sorted(one["reused"] for one in both) == [False, True]


def test_another_recipe_or_dataset_is_another_version(
    settings_of: Make, steps: Steps, tmp_path: Path
) -> None:
    assert train(settings_of(), steps)["version"] == 1
    assert train(settings_of(training__seed=1), steps)["version"] == 2
    write_dataset(tmp_path, shares=(0.7, 0.1), version=2)
    newest = train(settings_of(), steps)
    assert (newest["version"], newest["dataset"], newest["aliases"]) == (3, 2, "challenger")
    first = train(settings_of(dataset=1), steps)
    assert (first["version"], first["reused"], first["aliases"]) == (1, True, "champion")


def no_mlflow(*_: Any) -> None:
    raise AssertionError("what is known needs no MLflow, which takes seconds to import")


HELPER = "WIDTH = 3"
OWN = """
import keras
import own_helper

def build(features, output, words=None):
    hidden = keras.layers.Dense(own_helper.WIDTH, name="hidden")(features.encoded)
    return keras.Model(features.inputs, output.layer()(hidden))

def unsafe(features, output):
    import tensorflow as tf

    class Python(keras.layers.Layer):
        def call(self, x):
            y = tf.numpy_function(lambda a: a + 1, [x], tf.float32)
            y.set_shape(x.shape)
            return y

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, "float32")

    return keras.Model(features.inputs, output.layer()(Python()(features.encoded)))

def callback():
    return keras.callbacks.Callback()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A builder and callbacks of the user's, with a module beside them."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "own_builder.py").write_text(OWN)
    (folder / "own_helper.py").write_text(HELPER)
    monkeypatch.syspath_prepend(folder)
    return folder


def test_the_key_has_all_that_a_model_is_made_from(
    settings_of: Make, own: Path, dataset: Path, tmp_path: Path
) -> None:
    held = open_dataset(str(dataset))
    (tmp_path / "words.txt").write_text("a")
    nested = {"builder": "own_builder:build", "params": {"words": [str(tmp_path / "words.txt")]}}
    plain = {"units": [4]}

    def keys() -> list[str]:
        return [
            train_key(held, settings_of(model=nested)),
            train_key(held, settings_of(training__callbacks=["own_builder:callback"])),
            train_key(held, settings_of(model__params=plain)),
        ]

    before = keys()
    assert keys() == before
    (own / "own_helper.py").write_text("WIDTH = 5")
    assert [a == b for a, b in zip(before, keys(), strict=True)] == [False, False, True]
    before = keys()
    (tmp_path / "words.txt").write_text("b")
    assert [a == b for a, b in zip(before, keys(), strict=True)] == [False, True, True]

    def same_on_two(**given: Any) -> bool:
        one, two = (settings_of(distributed__ranks=ranks, **given) for ranks in (1, 2))
        return train_key(held, one) == train_key(held, two)

    assert same_on_two(model__params=plain)
    for given in (
        {"model__params": {"units": [4], "dropout": 0.1}},
        {"model": nested},
        {"model__params": plain, "training__resample": "balanced"},
        {"model__params": plain, "training__compression": "float16"},
        {"model__params": plain, "training__batch": "rank"},
    ):
        assert not same_on_two(**given), given


def test_a_changed_helper_is_trained_and_what_cannot_be_scored_is_not_registered(
    settings_of: Make, steps: Steps, own: Path, store: Any
) -> None:
    settings = settings_of(model={"builder": "own_builder:build"}, training__epochs=1)
    first = train(settings, steps)
    (own / "own_helper.py").write_text("WIDTH = 5")
    second = train(settings, steps)
    assert (second["version"], second["reused"]) == (2, False)
    sizes = []
    for summary in (first, second):
        import tensorflow as tf

        loaded = tf.saved_model.load(summary["folder"])
        sizes.append({tuple(v.shape) for v in loaded.variables if len(v.shape) == 1} - {(1,)})
    assert sizes == [{(3,)}, {(5,)}], "of the code as it was then"
    with pytest.raises(UnsafeModelError, match="so it is not registered: .*PyFunc"):
        train(settings_of(model={"builder": "own_builder:unsafe"}, training__epochs=1), steps)
    assert len(store.search_model_versions("name = 'small'")) == 2


def test_columns_of_any_name(settings_of: Make, steps: Steps, tmp_path: Path, store: Any) -> None:
    given, names = rows_of(150), {"x": "年龄", "word": "性别 (m)"}
    rows = {names.get(name, name): column for name, column in given.items()}
    columns = [{**c, "name": names.get(c["name"], c["name"])} for c in COLUMNS]
    write_dataset(tmp_path, rows, columns, version=2)
    features = [
        {"kind": "numeric", "column": names["x"]},
        {"kind": "vocabulary", "column": names["word"], "encode": {"embedding": 2}},
    ]
    summary = train(settings_of(features=features, training__epochs=1), steps)
    model = resolve_model(summary["uri"], settings_of().tracking_uri)
    assert set(model.signature.inputs) == set(names.values())
    run = store.get_run(summary["mlflow_run"])
    assert names["word"] in run.data.params["features.性别 _m_"]


def test_a_version_that_fails_the_gate_gets_no_alias(settings_of: Make, steps: Steps) -> None:
    settings = settings_of(registry__gate={"auc": 1.0, "accuracy": 1.0})
    for _ in range(2):  # also where the version is there already
        with pytest.raises(GateError, match=r"small version 1: auc is 0\.\d+, at least 1 is"):
            train(settings, steps)
    with pytest.raises(ModelNotFound, match="no such version; there are 1 in"):
        resolve_model("models:/small@champion", settings.tracking_uri)
    assert resolve_model("models:/small/1", settings.tracking_uri).version == "1"
    passed = train(settings_of(registry__gate={"auc": 0.1}), steps)
    assert (passed["version"], passed["reused"], passed["aliases"]) == (1, True, "champion")
    with pytest.raises(GateError, match="It keeps the alias champion that it had"):
        train(settings, steps)


def test_an_impossible_gate_is_refused_before_training(settings_of: Make, steps: Steps) -> None:
    with pytest.raises(ConfigError, match="rmse is no metric of a binary model"):
        train(settings_of(registry__gate={"rmse": 1.0}), steps)


def test_multiclass_and_regression(settings_of: Make, steps: Steps, tmp_path: Path) -> None:
    rows = rows_of(150)
    rows["y"] = [i % 3 for i in range(150)]
    columns = [{**c, "validValues": None} if c["name"] == "y" else c for c in COLUMNS]
    write_dataset(tmp_path, rows, columns, version=2)
    three = train(settings_of(model__task="multiclass"), steps)
    assert set(three["test"]) == {"accuracy", "logloss", "rows", "macro_f1", "ece"}
    manifest = read_manifest(three["folder"])
    assert manifest is not None
    assert manifest["outputs"]["probabilities"]["shape"] == [3]
    number = train(settings_of(model__task="regression", model__output="y_hat"), steps)
    assert set(number["test"]) == {"rmse", "mae", "r2", "rows"}


def test_a_failed_training_ends_its_run(
    settings_of: Make, steps: Steps, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise TrainingError("the loss became nan")

    monkeypatch.setattr("tfspark.training.make.launch", fails)
    with pytest.raises(TrainingError):
        train(settings_of(), steps)
    number = store.get_experiment_by_name("small").experiment_id
    assert [run.info.status for run in store.search_runs([number])] == ["FAILED"]
    monkeypatch.undo()
    assert train(settings_of(), steps)["aliases"] == "champion"


class Killed(BaseException):
    """Not an Exception: like a kill, nothing handles it."""


REGISTRY = "tfspark.registry.tracking.Store"
# Each leaves something else behind; what the others leave is in the soak.
MOMENTS = [
    ("tfspark.training.loop.checkpoint.save", True),
    (f"{REGISTRY}.new_version", True),
    (f"{REGISTRY}.upload", True),
    ("tfspark.storage.publish", True),
    (f"{REGISTRY}.tag", True),
]
MORE = [
    (f"{REGISTRY}.start_run", True),
    (f"{REGISTRY}.log_metrics", False),
    ("tfspark.training.make.export", True),
    (f"{REGISTRY}.set_alias", True),
    ("tfspark.storage.discard", False),
]


def state(settings: Settings, warehouse: Path, store: Any) -> dict[str, Any]:
    """What a user can see of the registry."""
    versions = store.search_model_versions("name = 'small'")
    folder = warehouse / "models" / "small"
    number = store.get_experiment_by_name("small").experiment_id
    runs = store.search_runs([number])
    return {
        "versions": [int(v.version) for v in versions],
        "tags": [sorted(set(v.tags) - {"tfspark.train_key"}) for v in versions],
        "aliases": {k: int(v) for k, v in store.get_registered_model("small").aliases.items()},
        "folders": sorted(path.name for path in folder.iterdir()),
        "predictions": predictions(
            resolve_model("models:/small@champion", settings.tracking_uri).path
        ),
        "runs": [(run.info.status, sorted(run.data.params), run.data.metrics) for run in runs],
        "curves": [
            len(store.get_metric_history(runs[0].info.run_id, key)) for key in runs[0].data.metrics
        ],
        "checkpoints": storage.names(str(warehouse / "checkpoints" / "small")),
    }


@pytest.fixture(scope="module")
def clean(trained: Trained) -> dict[str, Any]:
    return state(trained.settings, trained.warehouse, trained.store)


def call_of(moment: str) -> tuple[Any, str]:
    """The object that holds a function, and its name there."""
    owner, name = moment.rsplit(".", 1)
    if owner.endswith(".Store"):
        return Store, name
    return importlib.import_module(owner), name


@pytest.mark.parametrize(("moment", "after"), size(MOMENTS, soak=MOMENTS + MORE))
def test_killed_at_any_moment_and_run_again(
    settings_of: Make,
    steps: Steps,
    tmp_path: Path,
    store: Any,
    monkeypatch: pytest.MonkeyPatch,
    clean: dict[str, Any],
    moment: str,
    after: bool,
) -> None:
    settings = settings_of()
    holder, name = call_of(moment)
    original = getattr(holder, name)

    def killed(*args: Any, **kwargs: Any) -> Any:
        if after:
            original(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(holder, name, killed)
    with pytest.raises(Killed):
        train(settings, steps)
    monkeypatch.undo()
    assert train(settings, steps)["aliases"] == "champion"
    assert state(settings, tmp_path, store) == clean
    assert train(settings, steps)["reused"]


def test_a_version_that_was_not_finished_cannot_be_scored_with(
    settings_of: Make, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(Store, "set_alias", killed)
    with pytest.raises(Killed):
        train(settings_of(), steps)
    with pytest.raises(ModelNotFound, match="version 1 was not finished; run the same training"):
        download("models:/small/1", settings_of().tracking_uri)


def test_what_must_be_there(settings_of: Make, steps: Steps, store: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="train needs a name"):
        train(settings_of(name=""), steps)
    with pytest.raises(ConfigError, match="no dataset for 2020-01-01 there; run prepare"):
        train(settings_of(date="2020-01-01"), steps)
    with pytest.raises(ConfigError, match="contract small has no column nope"):
        train(settings_of(features=[{"kind": "numeric", "column": "nope"}]), steps)
    known = store.get_experiment_by_name("small")
    assert store.search_runs([known.experiment_id]) == []  # nothing was trained
    file = tmp_path / "datasets" / "small" / "1" / "train" / "part-0.parquet"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match=r"train/part-0.parquet was changed"):
        train(settings_of(), steps)


def test_a_changed_model_folder_is_not_published(settings_of: Make, steps: Steps) -> None:
    folder = Path(train(settings_of(), steps)["folder"])
    (folder / "extra.txt").write_text("x")
    with pytest.raises(IntegrityError, match=r"extra.txt is not in its manifest"):
        train(settings_of(), steps)


def test_importing_the_job_imports_no_tensorflow_and_no_mlflow() -> None:
    heavy = "{'tensorflow', 'keras', 'mlflow', 'pandas'} & set(sys.modules)"
    code = f"import sys, tfspark.training; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True)
