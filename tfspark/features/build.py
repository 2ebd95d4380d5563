"""From a recipe's features, a contract and statistics to Keras inputs and encoded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tfspark.config.recipe import (
    Bucketize,
    Cross,
    Embedding,
    Feature,
    Hash,
    Identity,
    Image,
    Numeric,
    Text,
    Vocabulary,
)
from tfspark.config.recipe import (
    Sequence as Ordered,
)
from tfspark.contracts import Contract
from tfspark.errors import ConfigError
from tfspark.features.columns import input_columns, misfit
from tfspark.features.imagelayer import image_layer
from tfspark.features.numbers import bucket_bounds, numbers_settings
from tfspark.features.vocabulary import check_expression, text_values, vocabulary_values
from tfspark.tensors import TensorSpec
from tfspark.tensors.names import plain_names


@dataclass(frozen=True)
class Features:
    """What a model builder starts from.

    Attributes:
        inputs: raw column → Keras input [rows, ...] in the column's own dtype.
        by_name: feature → float32 [rows, width], in the recipe's order; of a text or a sequence the
            mean of its vectors; an image is [rows, height, width, channels].
        texts: feature of a text → its words in their order: `ids`, `embedded`, `mask`, `depth`.
        sequences: feature of a list → its values in their order, alike.
    """

    inputs: dict[str, Any]
    by_name: dict[str, Any]
    texts: dict[str, Any] = field(default_factory=dict)
    sequences: dict[str, Any] = field(default_factory=dict)

    @property
    def ordered(self) -> dict[str, Any]:
        """Texts and sequences."""
        return {**self.texts, **self.sequences}

    @cached_property
    def encoded(self) -> Any:
        """All features side by side, images as rows of numbers: float32 [rows, sum of widths].

        Raises:
            ConfigError: the recipe has no features.
        """
        import keras

        if not self.by_name:
            raise ConfigError(
                "features: the recipe names none, and this model builder needs some; "
                "list them, or build from the raw inputs with a builder of your own"
            )
        tensors = [
            keras.layers.Flatten()(tensor) if len(tensor.shape) > 2 else tensor
            for tensor in self.by_name.values()
        ]
        return keras.layers.Concatenate(name="encoded")(tensors) if tensors[1:] else tensors[0]


def build_features(
    features: Sequence[Feature], contract: Contract, statistics: dict[str, Any]
) -> Features:
    """Keras inputs for the raw columns and one encoded tensor for each feature.

    Args:
        statistics: the training split's statistics, by column (`Dataset.statistics`).

    Raises:
        ConfigError: a feature that cannot be built, naming it and what to do.
    """
    import keras

    specs = input_columns(features, contract)
    # Keras has / in the names of scopes.
    called = {
        name: name if "/" not in name else plain for name, plain in plain_names(specs).items()
    }
    inputs = {
        name: keras.Input(shape=spec.shape, dtype=spec.dtype, name=called[name])
        for name, spec in specs.items()
    }
    shared = [name for feature in features if (name := _shared(feature))]
    names = plain_names({*(feature.name for feature in features), *shared, *specs}, _scope)
    builder = _Builder(inputs, specs, statistics, names)
    for feature in features:
        if feature.name in builder.by_name:
            raise ConfigError(f"features: two are named {feature.name}; give one another `name`")
        builder.by_name[feature.name] = builder.build(feature)
    return Features(inputs, builder.by_name, builder.texts, builder.sequences)


class _Builder:
    """Builds one feature after the other: later ones may cross earlier ones."""

    def __init__(
        self,
        inputs: dict[str, Any],
        specs: dict[str, TensorSpec],
        statistics: dict[str, Any],
        names: dict[str, str],
    ) -> None:
        self.inputs, self.specs, self.statistics, self.names = inputs, specs, statistics, names
        self.by_name: dict[str, Any] = {}
        self.ids: dict[str, Any] = {}
        self.texts: dict[str, Any] = {}
        self.sequences: dict[str, Any] = {}
        self.shared: dict[str, tuple[Any, Any]] = {}

    def build(self, feature: Feature) -> Any:
        from tfspark.features import layers

        self._check(feature)
        name = self.names[feature.name]
        columns = [self.inputs[c] for c in feature.columns if c in self.inputs]
        nulls = [self._null(c) for c in feature.columns if c in self.inputs]
        if isinstance(feature, Numeric):
            settings = numbers_settings(feature, self.specs, self.statistics)
            return layers.Numbers(nulls, name=f"{name}_numbers", **settings)(columns)
        if isinstance(feature, Text):
            return self._text(feature, name, nulls[0])
        if isinstance(feature, Ordered):
            return self._sequence(feature, name)
        if isinstance(feature, Image):
            return image_layer(feature, nulls[0], self.names)(columns[0])
        if isinstance(feature, Bucketize):
            bounds = bucket_bounds(feature, self.statistics)
            ids, depth = layers.Buckets(nulls, bounds, name=f"{name}_ids")(columns), len(bounds) + 2
        elif isinstance(feature, Identity):
            ids = layers.OwnIds(feature.size, nulls[0], name=f"{name}_ids")(columns[0])
            depth = feature.size + 1
        elif isinstance(feature, Hash):
            text = layers.Text(nulls[0], feature.extract, name=f"{name}_text")(columns[0])
            ids = layers.HashIds(feature.buckets, True, name=f"{name}_ids")([text])
            depth = feature.buckets + 1
        elif isinstance(feature, Cross):
            parts = [self._part(c, name) for c in feature.columns]
            ids = layers.HashIds(feature.buckets, False, name=f"{name}_ids")(parts)
            depth = feature.buckets
        else:
            return self._vocabulary(feature, name, nulls[0])
        return self._encode(feature, ids, depth, (feature.kind, depth))

    def _vocabulary(self, feature: Vocabulary, name: str, null: Any) -> Any:
        from tfspark.features import layers

        column, spec = self.inputs[feature.column], self.specs[feature.column]
        values = vocabulary_values(feature, spec, self.statistics)
        if spec.dtype == "string":
            column = layers.Text(null, feature.extract, name=f"{name}_text")(column)
        ids, depth = layers.lookup_ids(column, values, feature.oov, f"{name}_ids", null)
        return self._encode(feature, ids, depth, (feature.kind, feature.oov, tuple(values)))

    def _sequence(self, feature: Ordered, name: str) -> Any:
        from tfspark.features.sequences import check_sequence, item_ids, numbers_in_order

        column, spec = self.inputs[feature.column], self.specs[feature.column]
        check_sequence(feature, spec)
        if not feature.ways:
            found = numbers_in_order(column, feature, spec, name)
        else:
            ids, depth, meaning = item_ids(column, feature, spec, name)
            found = self._in_order(feature, ids, depth, (feature.kind, meaning))
        self.sequences[feature.name] = found
        return found.mean()

    def _text(self, feature: Text, name: str, null: Any) -> Any:
        from tfspark.features.text import Words, word_ids

        words = Words(
            feature.length, feature.standardize, feature.ngrams, null, name=f"{name}_words"
        )(self.inputs[feature.column])
        values = text_values(feature, self.statistics) if feature.buckets is None else None
        ids, depth = word_ids(words, name, values, feature.oov, feature.buckets or 0)
        space = (feature.kind, feature.oov, tuple(values) if values else depth)
        self.texts[feature.name] = found = self._in_order(feature, ids, depth, space)
        return found.mean()

    def _in_order(self, feature: Text | Ordered, ids: Any, depth: int, space: object) -> Any:
        import keras

        from tfspark.features.text import InOrder

        mask = keras.ops.cast(keras.ops.not_equal(ids, 0), "float32")
        embedded = self._embedding(feature.encode, feature.name, depth, space)(ids)
        return InOrder(ids, depth, embedded, mask)

    def _encode(self, feature: Any, ids: Any, depth: int, space: object) -> Any:
        """One-hot or embedding of ids below `depth`; `space` tells what the ids mean."""
        import keras

        self.ids[feature.name] = ids
        if not isinstance(feature.encode, Embedding):
            return keras.ops.one_hot(ids, depth, dtype="float32")
        return self._embedding(feature.encode, feature.name, depth, space)(ids)

    def _embedding(self, encode: Embedding, feature: str, depth: int, space: object) -> Any:
        import keras

        size, shared = encode.embedding, encode.shared
        if shared is None:
            return keras.layers.Embedding(depth, size, name=f"{self.names[feature]}_embedding")
        if shared not in self.shared:
            layer = keras.layers.Embedding(depth, size, name=f"{self.names[shared]}_embedding")
            self.shared[shared] = (layer, (space, size))
        layer, first = self.shared[shared]
        if first != (space, size):
            raise ConfigError(
                f"feature {feature}: it cannot share the embedding {shared}: its ids or size "
                "differ; give all its features the same values (or file, or buckets) and size"
            )
        return layer

    def _part(self, name: str, cross: str) -> Any:
        from tfspark.features import layers

        if name in self.ids:
            return self.ids[name]
        if name in self.texts or name in self.sequences:
            kind = "text" if name in self.texts else "sequence"
            raise ConfigError(f"feature {cross}: {name} is a {kind}, which is no category to cross")
        if name not in self.inputs:
            raise ConfigError(f"feature {cross}: {name} comes later; list it before the cross")
        text = layers.Text(self._null(name), name=f"{cross}_{self.names[name]}_text")
        return text(self.inputs[name])

    def _null(self, column: str) -> Any:
        return self.specs[column].null

    def _check(self, feature: Feature) -> None:
        if isinstance(feature, Vocabulary | Hash) and feature.extract is not None:
            check_expression(feature.extract, f"feature {feature.name}")
        for name in feature.columns:
            if name not in self.specs or (isinstance(feature, Cross) and name in self.ids):
                continue
            spec = self.specs[name]
            reason = misfit(feature, spec)
            if reason:
                raise ConfigError(
                    f"feature {feature.name}: column {name} is {spec.dtype}{list(spec.shape)}, "
                    f"and {feature.kind} {reason}"
                )


def _scope(name: str) -> str:
    """A layer's name that may begin the name of a variable."""
    return f"f{name}" if name.startswith("_") else name


def _shared(feature: Feature) -> str | None:
    encode = getattr(feature, "encode", None)
    return encode.shared if isinstance(encode, Embedding) else None
