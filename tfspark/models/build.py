"""Call the recipe's model builder, ours or the user's own, and check what it gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfspark.config.recipe import Model
from tfspark.errors import ConfigError
from tfspark.models.code import module_of
from tfspark.models.output import Output

if TYPE_CHECKING:
    from tfspark.features.build import Features

_ACTIVATIONS = {
    "binary": "sigmoid",
    "multiclass": "softmax",
    "multilabel": "sigmoid",
    "regression": "linear",
}


def build_model(
    settings: Model, features: Features, units: int, mean: float = 0.0, std: float = 1.0
) -> Any:
    """The Keras model of a recipe.

    Args:
        units: how many numbers the prediction of a row has.
        mean, std: of the label of a regression, transformed as it is learned.

    Raises:
        ConfigError: the builder is not there, fails, or gives something else than a model from
            `features.inputs` to one tensor [rows, units].
    """
    import keras

    builder = find_builder(settings.builder)
    log = settings.target_transform == "log1p"
    output = Output(settings.output_name, units, _ACTIVATIONS[settings.task], mean, std, log)
    place = f"model.builder {settings.builder}"
    try:
        inspect.signature(builder).bind(features, output, **settings.params)
    except TypeError as error:
        raise ConfigError(
            f"model.params: {error}; all sources of settings together give "
            f"{', '.join(settings.params) or 'none'}, and {settings.builder} is "
            f"{getattr(builder, '__name__', 'it')}{inspect.signature(builder)}"
        ) from None
    try:
        model = builder(features, output, **settings.params)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{place} failed: {type(error).__name__}: {error}") from error
    if not isinstance(model, keras.Model):
        raise ConfigError(f"{place} gave {type(model).__name__}, not a keras.Model")
    if isinstance(model, keras.Sequential):  # takes what the features give
        model = keras.Model(features.inputs, model(features.encoded))
    try:
        shape = keras.tree.map_structure(lambda tensor: tensor.shape, model(features.inputs))
    except Exception as error:
        raise ConfigError(
            f"{place} gave a model that does not take the columns as they are, a dict of tensors: "
            f"{type(error).__name__}: {error}"
        ) from error
    if shape != (None, units):
        raise ConfigError(
            f"{place} gave a model with the output shape {shape}; it must have one output "
            f"[rows, {units}]: end it with output.layer()"
        )
    return model


def find_builder(name: str) -> Callable[..., Any]:
    """The function of `module:function`; modules of the working directory are found too.

    Raises:
        ConfigError: there is no such module or function, or importing it fails.
    """
    module_name, function = name.split(":")
    try:
        module = module_of(name)
    except Exception as error:
        raise ConfigError(f"model.builder {name}: cannot import {module_name}: {error}") from error
    builder = getattr(module, function, None)
    if not callable(builder):
        known = [n for n, v in vars(module).items() if inspect.isfunction(v) and n[0] != "_"]
        raise ConfigError(
            f"model.builder {name}: {module_name} has no function {function}; it has "
            f"{', '.join(known) or 'none'}"
        )
    return builder  # type: ignore[no-any-return]
