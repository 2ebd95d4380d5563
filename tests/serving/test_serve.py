"""`tfspark serve`: TensorFlow Serving's URLs, many clients, bounds, models that fail, SIGTERM."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.saved_models import Spec, mixed, mlp, picky, save
from tests.serving.server import serving
from tests.sizes import size
from tfspark.cli import main
from tfspark.scoring.worker.parent import Child
from tfspark.serving.app import Bounds

DTYPES = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    """One process for the models of all servers: TensorFlow starts once."""
    one = Child()
    yield one
    one.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def echo(folder: Path) -> str:
    """Every dtype → itself, of any shape of its own; raw bytes; a scalar for all of them."""

    def serve(*given):  # type: ignore[no-untyped-def]
        named = dict(zip([*DTYPES, "bool", "string", "times"], given, strict=True))
        named["raw_bytes"] = named["string"]
        named["float32"] = named["float32"] * named.pop("times")
        return {f"y_{name}": tf.identity(tensor) for name, tensor in named.items()}

    kinds = (*DTYPES, "bool", "string")
    specs = [Spec([None], dtype, name=dtype) for dtype in kinds]
    return save(folder, [*specs, Spec([], tf.float32, name="times")], serve)


def by_examples(folder: Path) -> str:
    """Signatures of `classify` and `regress`: x of an example → x / 2 + 2, of two classes."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        text = v1.placeholder(tf.string, [None], name="examples")
        x = v1.parse_example(text, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        y = x / 2 + 2
        labels = tf.tile(tf.constant([["no", "yes"]]), [tf.shape(x)[0], 1])
        info = v1.saved_model.build_tensor_info
        given = {"inputs": info(text)}
        pairs = {"classes": info(labels), "scores": info(tf.concat([1 - y, y], 1))}
        make, prefix = v1.saved_model.build_signature_def, "tensorflow/serving/"
        signatures = {
            "serving_default": make({"x": info(x)}, {"y": info(y)}, f"{prefix}predict"),
            "regress_x": make(given, {"outputs": info(y)}, f"{prefix}regress"),
            "classify_x": make(given, pairs, f"{prefix}classify"),
        }
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    return str(folder)


def half_plus_two(folder: Path) -> str:
    """The model of the documentation: x / 2 + 2, of any shape."""
    return save(folder, [Spec(None, tf.float32, name="x")], lambda x: {"y": x / 2 + 2})


def test_what_the_documentation_asks(models: Path, child: Child) -> None:
    with serving(half_plus_two(models / "half"), child, name="half plus", version=123) as client:
        client.name = "half%20plus"
        path = "/v1/models/half%20plus"
        status = {"version": "123", "state": "AVAILABLE"}
        status["status"] = {"error_code": "OK", "error_message": ""}  # type: ignore[assignment]
        for of in ("", "/versions/123", "/labels/champion"):
            assert client.ask("GET", path + of) == (200, {"model_version_status": [status]})
            ok = client.predict({"instances": [1.0, 2.0]}, of)
            assert ok == (200, {"predictions": [2.5, 3.0]})
        assert client.predict({"instances": [[1, 2], [3, 4]]})[1] == {
            "predictions": [[2.5, 3.0], [3.5, 4.0]]
        }
        asked = {"signature_name": "serving_default", "inputs": [3.0, 4.0]}
        assert client.predict(asked) == (200, {"outputs": [3.5, 4.0]})
        assert client.predict({"inputs": {"x": 4}})[1] == {"outputs": 4.0}
        assert client.ask("post".upper(), "/V1/Models/half%20plus:Predict", asked)[0] == 200

        code, told = client.ask("GET", f"{path}/labels/champion/metadata")
        assert code == 200
        assert told["model_spec"] == {"name": "half plus", "signature_name": "", "version": "123"}
        signature = told["metadata"]["signature_def"]["signature_def"]["serving_default"]
        meta = saved_model_pb2.SavedModel.FromString(
            (models / "half" / "saved_model.pb").read_bytes()
        ).meta_graphs[0]
        name = meta.signature_def["serving_default"].inputs["x"].name
        shape = {"dim": [], "unknown_rank": True}
        assert signature["inputs"] == {
            "x": {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": name}
        }
        assert signature["method_name"] == "tensorflow/serving/predict"

        one = {"instances": [1.0]}
        for method, where, body, code, said in (
            ("GET", "/v1/foo", None, 400, "Malformed request: GET /v1/foo"),
            ("POST", "/v1/models", {}, 400, "Malformed request: POST /v1/models"),
            ("GET", "/v1/models", None, 400, "Missing model name in request."),
            ("GET", f"{path}:predict", None, 400, "Malformed request"),
            ("PUT", path, None, 400, "Malformed request: PUT"),
            ("POST", f"{path}/version/1:predict", one, 400, "Malformed request"),
            ("POST", f"{path}/versions/X:predict", one, 400, "Malformed request"),
            ("POST", f"{path}/versions/{2**64}:regress", one, 400, "Failed to convert version"),
            ("GET", "/index", None, 404, "Not Found"),
            ("POST", "/v1/models/foo:predict", one, 404, "for request: Latest(foo)"),
            ("POST", "/v1/models/foo/versions/50:predict", one, 404, "Specific(foo, 50)"),
            ("POST", f"{path}/versions/9:predict", one, 404, "Servable not found for request"),
            ("POST", f"{path}/labels/no:predict", one, 400, "Unrecognized servable version label"),
            ("GET", f"{path}/versions/9", None, 404, "Could not find version 9 of model half plus"),
            ("GET", "/v1/models/foo", None, 404, "Could not find any versions of model foo"),
            ("GET", "/v1/models/foo/metadata", None, 404, "Latest(foo)"),
            ("POST", f"{path}:predict", b"", 400, "JSON Parse error: The document is empty"),
            ("POST", f"{path}:predict", b"\x00\xff", 400, "JSON Parse error"),
            ("POST", f"{path}:predict", {"instances": ["x"]}, 400, "expected type: float"),
            ("POST", f"{path}:predict", {**one, "signature_name": "z"}, 400, 'name: "z" not found'),
            (
                *("POST", f"{path}:classify", {"examples": [{"x": 1}]}, 400),
                "method_name to be tensorflow/serving/classify. Was: tensorflow/serving/predict",
            ),
        ):
            answered, told = client.ask(method, where, body)
            assert (answered, list(told)) == (code, ["error"]), where
            assert said in told["error"]


def test_every_dtype_comes_back_as_it_was_and_examples_are_classified(
    models: Path, child: Child
) -> None:
    largest = {"float32": 0.1, "float64": 1e308, "bool": True, "string": "ä\u0000"}
    given = {d: [largest.get(d) or int(np.iinfo(d).max)] for d in (*DTYPES, "bool", "string")}
    with serving(echo(models / "echo"), child) as client:
        code, told = client.predict({"inputs": {**given, "uint8": [1, 2, 3], "times": 1}})
        raw = {"y_raw_bytes": [{"b64": "w6QA"}], "y_uint8": [1, 2, 3]}
        assert (code, told["outputs"]) == (200, {f"y_{d}": v for d, v in given.items()} | raw)
        rows = [{**{d: v[0] for d, v in given.items()}, "times": 1}]
        code, told = client.predict({"instances": rows})
        assert code == 400  # a scalar has no rows: the model takes one for all
    with serving(by_examples(models / "examples"), child) as client:
        asked = {"signature_name": "regress_x", "examples": [{"x": 80.0}, {"x": [1.0]}]}
        assert client.predict(asked, method="regress") == (200, {"results": [42.0, 2.5]})
        asked = {"signature_name": "classify_x", "context": {"x": 20.0}, "examples": [{}]}
        told = {"results": [[["no", -11.0], ["yes", 12.0]]]}
        assert client.predict(asked, "/labels/champion", "classify") == (200, told)
        code, told = client.predict({**asked, "examples": [{"x": "text"}]}, method="classify")
        assert code == 400
        assert "Key: x, Index: 0.  Data types don't match." in told["error"]


def test_many_clients_and_bad_bodies_get_their_own_answers(models: Path, child: Child) -> None:
    rounds = size(3, soak=40)
    with serving(mixed(models / "mixed"), child) as client:

        def good(n: int) -> None:
            row = {"age": n / 7, "sex": f"s{n}", "siblings": n, "paid": n % 2 == 0}
            code, told = client.predict({"instances": [row] * (1 + n % 3)})
            assert code == 200, told
            assert [one["label"] for one in told["predictions"]] == [f"s{n}-{n}"] * (1 + n % 3)
            parts = told["predictions"][0]["parts"]
            assert np.float32(parts).tolist() == [np.float32(n / 7), n]

        def bad(n: int) -> None:
            bodies = [b"{", b"\xff" * n, b'{"instances": [{"age": NaN}]}', b'{"inputs": 3}', b"[]"]
            assert client.predict(bodies[n % 5])[0] == 400

        with ThreadPoolExecutor(200) as clients:
            asked = [clients.submit(bad if n % 4 == 3 else good, n) for n in range(200 * rounds)]
            for one in asked:
                one.result()
        good(1)


def test_bodies_that_are_too_large_and_too_many_requests_are_refused(
    models: Path, child: Child
) -> None:
    bounds = Bounds(body=1000, queue=3, deadline=5)
    with serving(mlp(models / "mlp"), child, bounds=bounds) as client:
        for body in (b"[" + b"1" * 1000, b"1" * 100_000):
            code, told = client.predict(body)
            assert code == 413
            assert "larger than 1000 bytes (--max-body)" in told["error"]
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
        connection.request("POST", "/v1/models/m:predict", iter([b"1" * 900] * 3))  # chunked
        assert connection.getresponse().status == 413
        connection.close()

        slow = [http.client.HTTPConnection("127.0.0.1", client.port, timeout=30) for _ in range(3)]
        for one in slow:  # they are in the queue as long as their bodies do not come
            one.putrequest("POST", "/v1/models/m:predict")
            one.putheader("Content-Length", "60")
            one.endheaders()
        row = {"instances": [[1.0, 2.0, 3.0, 4.0]]}
        until = time.monotonic() + 30
        while (answer := client.predict(row))[0] == 200 and time.monotonic() < until:
            pass  # their heads are being read
        assert answer[0] == 503
        assert "The queue is full: 3 requests" in answer[1]["error"]
        late = slow[0].getresponse()
        assert (late.status, json.loads(late.read())) == (
            *(504, {"error": "no answer within 5 s (--deadline)"}),
        )
        for one in slow:
            one.close()
        while (answer := client.predict(row))[0] == 503 and time.monotonic() < until:
            time.sleep(0.05)
        assert answer[0] == 200
    with serving(str(models / "mlp"), child) as client:
        code, told = client.predict({"instances": [[1.0, 2.0]]})
        assert code == 400
        assert told["error"] == ("input features has the shape [1, 2]; the signature takes [-1, 4]")


def hanging(folder: Path) -> str:
    """x → x; the model never ends where x is negative."""

    def serve(x):  # type: ignore[no-untyped-def]
        wait = tf.while_loop(lambda n: n < 0.0, lambda n: (n - 1e-9,), [tf.reduce_min(x)])[0]
        return {"y": x + 0.0 * wait}

    return save(folder, [Spec([None], tf.float32, name="x")], serve)


def test_a_model_that_fails_or_hangs_costs_its_request_alone(models: Path, child: Child) -> None:
    with serving(picky(models / "picky"), child) as client:
        code, told = client.predict({"instances": [4.0, -1.0]})
        assert code == 400
        assert "negative x" in told["error"]
        assert client.predict({"instances": [4.0]})[1] == {"predictions": [2.0]}
    with serving(hanging(models / "hangs"), child, bounds=Bounds(deadline=1.0)) as client:
        code, told = client.predict({"instances": [-1.0]})
        assert code == 504
        assert "no answer within 1 s" in told["error"]
        until = time.monotonic() + 300
        while (code := client.predict({"instances": [4.0]})[0]) != 200:  # another is started
            assert code == 504
            assert time.monotonic() < until


def test_the_command_answers_what_is_there_before_it_ends(models: Path) -> None:
    folder = mlp(models / "shut" / "3")
    command = [sys.executable, "-m", "tfspark", "serve", folder, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        said = server.stdout.readline()
        assert "serve: shut 3 at http://127.0.0.1:" in said
        port = int(said.split(":")[3].split("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        body = json.dumps({"instances": [[1.0, 2.0, 3.0, 4.0]] * 100}).encode()
        connection.putrequest("POST", "/v1/models/shut:predict")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        connection.send(body[:100])
        time.sleep(0.5)  # it is being read
        server.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.send(body[100:])
        answer = connection.getresponse()
        assert (answer.status, len(json.loads(answer.read())["predictions"])) == (200, 100)
        connection.close()
        rest, _ = server.communicate(timeout=30)
        assert server.returncode == 0
        assert "answered  1" in rest
    finally:
        server.kill()
        server.wait()


def test_what_cannot_be_served_is_refused_before(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Path(
        save(models / "bad", [Spec([None], tf.string)], lambda x: {"y": tf.io.read_file(x[0])})
    )
    assert main("serve", [str(bad)]) == 6
    assert "ReadFile" in capsys.readouterr().err
    assert main("serve", [str(models / "none")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    half = half_plus_two(models / "named")
    for flags, said in (
        (["--name", "a/b"], "the name 'a/b' is none for a URL"),
        (["--signature", "z"], "signature"),
        (["--port", "99999"], "--port 99999: cannot listen there"),
        (["--deadline", "0"], "no number of seconds above 0"),
        (["--queue", "0"], "must be at least 1"),
    ):
        assert main("serve", [half, *flags]) == 2
        assert said in capsys.readouterr().err
    monkeypatch.setattr("tfspark.extras.find_spec", lambda name: None)
    assert main("serve", [half]) == 2
    assert "needs starlette, which is not installed: install tfspark[serve]" in (
        capsys.readouterr().err
    )
