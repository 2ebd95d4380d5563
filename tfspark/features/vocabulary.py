"""The values of a vocabulary: from statistics, from the recipe, from a file."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pyarrow as pa

from tfspark import storage
from tfspark.config.recipe import Sequence, Text, Vocabulary
from tfspark.errors import ConfigError
from tfspark.features.words import key_of, words_of
from tfspark.tensors import TensorSpec


def vocabulary_values(
    feature: Vocabulary, spec: TensorSpec, statistics: dict[str, Any]
) -> list[Any]:
    """The values that get an id of their own, in the order of their ids.

    Raises:
        ConfigError: there are none, or they do not fit the column.
    """
    place = f"feature {feature.name}"
    if feature.values is not None or feature.file is not None:
        values = given_values(feature, spec)
    else:
        counted = statistics.get(feature.column, {}).get("values")
        if counted is None:
            raise ConfigError(
                f"{place}: the dataset keeps no values of {feature.column}; give `values` or "
                "`file`, or use hash"
            )
        if feature.extract is not None:
            counted = _extracted(feature.extract, counted)
        kept = [value for value, count in counted if count >= feature.min_count and value != ""]
        values = [value for value in kept if value != spec.null][: feature.size]
    if not values:
        raise ConfigError(
            f"{place}: no value is left for the vocabulary: {feature.column} is empty in the "
            "training split, or min_count is too high; lower it, give `values`, or use hash"
        )
    return values


def given_values(feature: Vocabulary | Sequence, spec: TensorSpec) -> list[Any]:
    """The values that the recipe or a file names.

    Raises:
        ConfigError: they do not fit the column, or one is there twice.
    """
    place = f"feature {feature.name}"
    given = feature.values if feature.values is not None else _lines(feature.file or "", place)
    values = _typed(list(given), spec, place)
    if len(set(values)) < len(values):
        raise ConfigError(f"{place}: a value is given twice; give each once")
    if not values:
        raise ConfigError(f"{place}: no value is given; name some, or use buckets")
    return values


def text_values(feature: Text, statistics: dict[str, Any]) -> list[str]:
    """The words that get an id of their own, in the order of their ids.

    Raises:
        ConfigError: there are none, or they were not counted.
    """
    place = f"feature {feature.name}"
    if feature.file is not None:
        lines = (pa.array([line]) for line in _lines(feature.file, place))
        words = (" ".join(words_of(line, feature.standardize, 1).to_pylist()) for line in lines)
        return list(dict.fromkeys(filter(None, words)))
    counted = statistics.get(feature.column, {}).get("words", {}).get(key_of(feature))
    short = counted and counted["distinct"] > len(counted["values"]) < feature.size
    if counted is None or short:
        raise ConfigError(
            f"{place}: the dataset {'kept too few' if short else 'has not counted the'} words of "
            f"{feature.column}; prepare it again with this recipe"
        )
    values = [word for word, count in counted["values"] if count >= feature.min_count]
    if not values:
        raise ConfigError(
            f"{place}: no word is left for the vocabulary: {feature.column} is empty in the "
            "training split, or min_count is too high; lower it, give `file`, or use `buckets`"
        )
    return values[: feature.size]


def _extracted(expression: str, counted: list[list[Any]]) -> list[tuple[str, int]]:
    """Counts of what the expression finds in values, as the graph will find it."""
    import tensorflow as tf

    from tfspark.features.layers import Text

    found = Text(extract=expression)(tf.constant([value for value, _ in counted], tf.string))
    sums: Counter[str] = Counter()
    for value, (_, count) in zip(found.numpy(), counted, strict=True):
        sums[value.decode(errors="replace")] += count
    return sorted(sums.items(), key=lambda item: (-item[1], item[0]))


def check_expression(expression: str, place: str) -> None:
    """Refuse what RE2 cannot compile, before the graph would fail on a row.

    Raises:
        ConfigError: no RE2 expression, or one without a group.
    """
    import tensorflow as tf

    try:
        tf.strings.regex_replace("", f"^(?:{expression})$", r"\1")
        if re.compile(expression).groups < 1:
            raise ValueError("it has no group: put what you want in parentheses")
    except (tf.errors.InvalidArgumentError, ValueError, re.error) as error:
        said = str(getattr(error, "message", error)).split(" [Op:")[0]
        raise ConfigError(f"{place}: extract: {expression!r}: {said}") from None


def _lines(path: str, place: str) -> list[str]:
    if not storage.exists(path):
        raise ConfigError(f"{place}: there is no vocabulary file {path}")
    try:
        return [line for line in storage.read_bytes(path).decode().splitlines() if line]
    except UnicodeDecodeError:
        raise ConfigError(f"{place}: {path} is not UTF-8; save it as UTF-8") from None


def _typed(values: list[Any], spec: TensorSpec, place: str) -> list[Any]:
    try:
        return [str(v) if spec.dtype == "string" else int(v) for v in values]
    except ValueError as error:
        raise ConfigError(f"{place}: the column holds integers: {error}") from None
