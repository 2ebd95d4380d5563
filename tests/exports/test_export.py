"""`tfspark export`: TensorFlow Serving's layout, LiteRT, Keras; whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tests.saved_models import Spec, fixed_batch, mixed, mlp, save
from tests.serving.equal import child, served
from tests.serving.server import served_model
from tfspark.cli import main
from tfspark.registry.resolve import resolve_model

Printed = pytest.CaptureFixture[str]


def test_tensorflow_serving_finds_a_version_its_batches_and_its_warm_up(
    tmp_path: Path, capsys: Printed
) -> None:
    folder, out = mixed(tmp_path / "mixed" / "4"), tmp_path / "out"
    assert main("export", [folder, "--to", "serving", "--out", str(out)]) == 0
    assert "off by" in capsys.readouterr().out
    assert not (tmp_path / "_staging").exists()
    version = out / "mixed" / "4"
    assert resolve_model(str(version)).signature == resolve_model(folder).signature
    said = (version / "batching_params.pbtxt").read_text()
    assert "max_batch_size { value: 128 }" in said

    records = tf.data.TFRecordDataset(str(version / "assets.extra/tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(one.numpy()) for one in records]
    assert [log.WhichOneof("log_type") for log in logs] == ["predict_log"] * 2
    model = served_model(str(version), child)
    for log, rows in zip(logs, (1, 32), strict=True):
        request = log.predict_log.request
        assert (request.model_spec.name, request.model_spec.signature_name) == (
            *("mixed", "serving_default"),
        )
        answer = answered(model, request)
        assert {k: v.shape for k, v in answer.items()} == {
            **{"p": (rows,), "label": (rows,), "parts": (rows, 2)},
        }
    request = predict_pb2.PredictRequest()  # as a client builds one
    given = {"age": [7.0], "sex": ["m"], "siblings": [2], "paid": [True]}
    for name, dtype in (
        ("age", "float32"),
        ("sex", None),
        ("siblings", "int64"),
        ("paid", None),
    ):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(given[name], dtype))
    assert answered(model, request)["label"].tolist() == [b"m-2"]

    # Another version beside it; the same again; others' files.
    again = ["--to", "serving", "--out", str(out)]
    assert main("export", [folder, *again, "--version", "5"]) == 0
    assert sorted(p.name for p in (out / "mixed").iterdir()) == ["4", "5"]
    capsys.readouterr()
    assert main("export", [folder, *again]) == 2
    assert "mixed/4: is there" in capsys.readouterr().err
    (out / "notes.txt").write_text("mine")
    assert main("export", [folder, *again, "--version", "6"]) == 2
    assert "holds something else; name another --out" in capsys.readouterr().err
    assert (out / "notes.txt").read_text() == "mine"
    # One that takes three rows at a time has requests of three, and no batches.
    fixed = fixed_batch(tmp_path / "fixed")
    assert main("export", [fixed, "--to", "serving", "--out", str(tmp_path / "f")]) == 0
    assert not (tmp_path / "f/fixed/1/batching_params.pbtxt").exists()


def answered(model, request):  # type: ignore[no-untyped-def]
    """What an executor of the same signature answers a request."""
    tensors = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
    scorer = model._scorer(request.model_spec.signature_name or "serving_default")
    return model._call(scorer, tensors)


def numbers(folder: Path) -> str:
    """What LiteRT has of a table's features: numbers filled and scaled, ids embedded."""
    table = tf.Variable(tf.random.Generator.from_seed(1).normal([100, 4]))

    def serve(module, age, city):  # type: ignore[no-untyped-def]
        known = tf.where(tf.math.is_nan(age), 30.0, age)
        x = tf.concat([tf.math.log(1.0 + known * known)[:, None], tf.gather(module.table, city)], 1)
        return {"y": tf.reduce_sum(x, 1), "which": tf.argmax(x, 1)}

    signature = [Spec([None], tf.float32, name="age"), Spec([None], tf.int64, name="city")]
    return save(folder, signature, serve, table=table)


def test_litert_gives_the_same_numbers_or_the_op_is_named(tmp_path: Path, capsys: Printed) -> None:
    from ai_edge_litert.interpreter import Interpreter

    for make in (mlp, numbers):
        folder = make(tmp_path / make.__name__)
        out = tmp_path / f"{make.__name__}.out"
        assert main("export", [folder, "--to", "tflite", "--out", str(out)]) == 0
        assert "1000 rows, made up" in capsys.readouterr().out
        runner = Interpreter(str(out / "model.tflite")).get_signature_runner()
        assert list(out.iterdir()) == [out / "model.tflite"]
    one = {"age": np.array([np.nan], "float32"), "city": np.array([3], "int64")}
    expected = tf.saved_model.load(str(tmp_path / "numbers")).signatures["serving_default"](**one)
    assert np.allclose(runner(**one)["y"], expected["y"], atol=1e-5)
    folder, out = mixed(tmp_path / "texts"), tmp_path / "refused"
    assert main("export", [folder, "--to", "tflite", "--out", str(out)]) == 2
    assert "LiteRT has no AsString, StringJoin. Such models" in capsys.readouterr().err
    assert not out.exists()
    assert not (tmp_path / "_staging").exists()


def test_a_trained_model_is_one_of_keras_again(
    passengers: Path, tmp_path: Path, capsys: Printed
) -> None:
    import keras

    folder = str(passengers / "models" / "passengers" / "1")
    where = ["--warehouse", str(passengers)]
    for to, file in (("keras", "model.keras"), ("weights", "model.weights.h5")):
        out = tmp_path / to
        assert main("export", [folder, "--to", to, "--out", str(out), *where]) == 0
        said = capsys.readouterr().out
        assert "rows of the training split" in said
        assert [path.name for path in out.iterdir()] == [file]
    assert keras.models.load_model(tmp_path / "keras" / "model.keras").count_params() > 0
    assert main("export", [folder, "--to", "serving", "--out", str(tmp_path / "s"), *where]) == 0
    copy = str(tmp_path / "s" / "passengers" / "1")
    assert resolve_model(copy).signature == resolve_model(folder).signature
    assert main("export", [folder, "--to", "tflite", "--out", str(tmp_path / "t"), *where]) == 2
    assert "LiteRT has no " in capsys.readouterr().err

    foreign = mlp(tmp_path / "mlp")
    for given, said in (
        ([foreign], "tfspark has not trained it, and a SavedModel holds graphs and weights"),
        ([folder, "--warehouse", str(tmp_path)], "are built with the statistics of its dataset"),
    ):
        assert main("export", [*given, "--to", "keras", "--out", str(tmp_path / "no")]) == 2
        assert said in capsys.readouterr().err
    row = {"Pclass": [3, 1], "Name": ["Kelly, Mr. James", ""], "Sex": ["male", "female"]}
    row |= {"Age": [34.5, float("nan")], "SibSp": [0, 1], "Parch": [0, 0], "Ticket": ["1", ""]}
    row |= {"Fare": [7.8, 80.0], "Cabin": ["", "C5"], "Embarked": ["Q", "S"]}
    assert len(served(folder, row)) == len(served(folder, row, "classes")) == 2
