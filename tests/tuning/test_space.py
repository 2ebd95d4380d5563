"""Spaces: what is suggested is what the recipe takes, and what cannot be is said at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest

from tfspark.config import Settings
from tfspark.errors import ConfigError
from tfspark.tuning.space import check_space, override, suggest

Make = Callable[..., Settings]


def test_each_kind_of_range_gives_values_of_the_settings_own_type(settings_of: Make) -> None:
    settings = settings_of(
        tune__space={
            "training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
            "training.batch_size": {"low": 16, "high": 64, "step": 16},
            "training.optimizer": {"choices": ["adam", "sgd"]},
            "training.class_weights": {"choices": [None, "balanced"]},
            "model.params.units": {"choices": [[4], [8, 4]]},
            "model.params.dropout": {"low": 0, "high": 0.5},
            "model.params.members": {"low": 1, "high": 3, "step": 1},
            "features.x.normalize": {"choices": ["zscore", "minmax"]},
        }
    )
    check_space(settings)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen: dict[str, set[Any]] = {key: set() for key in settings.tune.space}
    for _ in range(60):
        values = suggest(study.ask(), settings)
        changed = override(settings, values)
        for key, value in values.items():
            seen[key].add(tuple(value) if isinstance(value, list) else value)
        assert changed.training.learning_rate == values["training.learning_rate"]
        assert changed.model.params["units"] == values["model.params.units"]
        assert changed.features[0].model_dump()["normalize"] == values["features.x.normalize"]
        assert changed.features[1] == settings.features[1]
    assert all(1e-4 <= rate <= 1e-1 for rate in seen["training.learning_rate"])
    assert min(seen["training.learning_rate"]) < 1e-3 < 1e-2 < max(seen["training.learning_rate"])
    assert seen["training.batch_size"] == {16, 32, 48, 64}
    assert {type(size) for size in seen["training.batch_size"]} == {int}
    assert seen["training.optimizer"] == {"adam", "sgd"}
    assert seen["training.class_weights"] == {None, "balanced"}
    assert seen["model.params.units"] == {(4,), (8, 4)}
    assert {type(rate) for rate in seen["model.params.dropout"]} == {float}
    assert seen["model.params.members"] == {1, 2, 3}
    assert settings.training.batch_size == 16, "the recipe itself stays as it is"


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "tune.space is empty"),
        ({"training.nope": {"low": 0, "high": 1}}, "tune.space.training.nope: there is no such"),
        ({"distributed.ranks": {"choices": [1]}}, "tune.space.distributed.ranks: there is no such"),
        ({"features.z.impute": {"choices": [0]}}, "tune.space.features.z.impute: there is no such"),
        ({"training": {"choices": [1]}}, "tune.space.training: there is no such setting"),
        ({"training.optimizer": {"choices": ["adam", "best"]}}, "training.optimizer = 'best'"),
        (
            {"training.learning_rate": {"low": -1, "high": 1}},
            r"learning_rate = -1.0: .*above|great",
        ),
        (
            {"training.batch_size": {"low": 1.5, "high": 8}},
            "training.batch_size: is a whole number",
        ),
        ({"training.batch_size": {"low": 1, "high": 8, "step": 0.5}}, "is a whole number"),
        ({"model.params.l2": {"low": 0, "high": 1, "log": True}}, "l2: log needs low above 0"),
        (
            {"model.params.l2": {"low": 0.1, "high": 1, "log": True, "step": 0.1}},
            "l2: log and step exclude each other",
        ),
    ],
)
def test_a_space_that_cannot_be_is_refused_with_its_key(
    settings_of: Make, space: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_space(settings_of(tune__space=space))
