"""Model builders: ours, the user's own, and what they may not give."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tfspark.config.recipe import Model
from tfspark.errors import ConfigError
from tfspark.features.build import Features
from tfspark.models.build import build_model
from tfspark.models.code import code_of

MINE = '''
import keras

def linear(features, output, scale=1.0):
    """A user's own."""
    x = keras.layers.Rescaling(scale)(features.by_name["x"])
    return keras.Model(features.inputs, output.layer()(x))

def number(features, output):
    return 5

def wide(features, output):
    return keras.Model(features.inputs, keras.layers.Dense(7)(features.encoded))

def broken(features, output):
    raise ZeroDivisionError("oh")
'''


@pytest.fixture(autouse=True)
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_builders.py").write_text(MINE)
    (tmp_path / "cannot_import.py").write_text("import no_such_library")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield
    sys.modules.pop("my_builders", None)


def features() -> Features:
    import keras

    x = keras.Input((), dtype="float32", name="x")
    return Features({"x": x}, {"x": keras.ops.expand_dims(x, 1)})


def model(**settings: Any) -> Any:
    units = settings.pop("units", 1)
    return build_model(Model(**settings), features(), units)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"units": []},
        {"units": [4], "linear": True, "l2": 0.1},
        {"units": [4, 3], "dropout": 0.5, "input_dropout": 0.2, "members": 3},
    ],
)
def test_mlp(params: dict[str, Any]) -> None:
    made = model(params=params)
    assert made.output_shape == (None, 1)
    assert [tuple(t.shape) for t in made.inputs] == [(None,)]
    assert bool(made.losses) == ("l2" in params)


def test_members_differ_and_are_averaged() -> None:
    import numpy as np

    made = model(params={"units": [4], "members": 2})
    kernels = [w for w in made.weights if w.name == "kernel" and w.shape == (1, 4)]
    assert len(kernels) == 2
    assert not np.allclose(kernels[0].numpy(), kernels[1].numpy())


@pytest.mark.parametrize(
    ("task", "units", "activation"),
    [("binary", 1, "sigmoid"), ("multiclass", 3, "softmax"), ("regression", 1, "linear")],
)
def test_the_task_decides_the_last_layer(task: str, units: int, activation: str) -> None:
    made = model(task=task, units=units)
    assert made.output_shape == (None, units)
    assert made.layers[-1].activation.__name__ == activation


def test_names_of_the_output() -> None:
    assert Model().output_name == "probability"
    assert Model(task="multiclass").output_name == "probabilities"
    assert Model(task="regression").output_name == "prediction"
    assert Model(output="p").output_name == "p"


def test_a_builder_of_the_users_own_with_its_parameters() -> None:
    made = model(builder="my_builders:linear", params={"scale": 2.0})
    assert made.layers[-2].scale == 2.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"builder": "no.such:f"}, "cannot import no.such"),
        ({"builder": "cannot_import:f"}, "No module named 'no_such_library'"),
        ({"builder": "my_builders:nope"}, "has no function nope; it has linear, number"),
        ({"builder": "my_builders:number"}, "gave int, not a keras.Model"),
        ({"builder": "my_builders:wide"}, r"output shape \(None, 7\); it must have one output"),
        ({"builder": "my_builders:broken"}, "failed: ZeroDivisionError: oh"),
        ({"params": {"unts": [3]}}, r"unexpected keyword argument 'unts'.*is mlp\(features"),
        ({"params": {"units": ["many"]}}, "mlp failed: "),
    ],
)
def test_a_builder_that_cannot_be_used(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        model(**settings)


def test_a_missing_module_is_told_before_anything_is_imported() -> None:
    with pytest.raises(ConfigError, match="there is no module no"):
        code_of("no.such:f", "model.builder")
