"""The models of the benchmarks, exported with Keras as a user would.

Each is saved twice: `FOLDER`, the SavedModel, and `FOLDER.keras`, for ways that open Keras models.
"""

from __future__ import annotations

from typing import Any

WORDS = 5000


def mlp(folder: str, features: int = 16, width: int = 64, outputs: int = 1) -> None:
    """features [n, 16] float32 → score [n, outputs]: two hidden layers of the width."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((features,), name="features")
    hidden = keras.layers.Dense(width, activation="relu")(inputs)
    hidden = keras.layers.Dense(width, activation="relu")(hidden)
    score = keras.layers.Dense(outputs, activation="sigmoid", name="score")(hidden)
    _save(keras.Model(inputs, {"score": score}), folder)


def mlp_of_doubles(folder: str, features: int = 12) -> None:
    """features [n, 12] float32, NaN where a value is missing → score [n, 1]."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((features,), name="features")
    hidden = keras.ops.nan_to_num(inputs) / 100
    for _ in range(2):
        hidden = keras.layers.Dense(64, activation="relu")(hidden)
    score = keras.layers.Dense(1, activation="sigmoid", name="score")(hidden)
    _save(keras.Model(inputs, {"score": score}), folder)


def cnn(folder: str, dtype: str = "uint8") -> None:
    """pixels [n, 32, 32, 3] of 0 to 255 → score [n, 1]: two convolutions, 76,000 weights."""
    import keras

    keras.utils.set_random_seed(1)
    pixels = keras.Input((32, 32, 3), name="pixels", dtype=dtype)
    hidden = keras.layers.Rescaling(1 / 255)(pixels)
    for channels in (16, 32):
        hidden = keras.layers.Conv2D(channels, 3, activation="relu")(hidden)
        hidden = keras.layers.MaxPool2D()(hidden)
    hidden = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(hidden))
    score = keras.layers.Dense(1, activation="sigmoid", name="score")(hidden)
    _save(keras.Model(pixels, {"score": score}), folder)


def jpegs(folder: str) -> None:
    """image [n, 1] of JPEG bytes → score [n, 1]: decoded in the graph, then cifar2's CNN."""
    import keras

    from tfspark.features.build import Features
    from tfspark.features.images import Images
    from tfspark.models.images import cnn
    from tfspark.models.output import Output

    keras.utils.set_random_seed(1)
    image = keras.Input((1,), name="image", dtype="string")
    features = Features({"image": image}, {"photo": Images(32, 32)(image[:, 0])})
    model = cnn(features, Output("score", 1, "sigmoid"), filters=(24, 48, 96))
    _save(keras.Model(image, {"score": model({"image": image})}), folder)


def tokens(folder: str) -> None:
    """tokens [n, 200] int32 → score [n, 1]: an embedding of 20,000 by 32, its mean, a layer."""
    import keras

    keras.utils.set_random_seed(1)
    ids = keras.Input((200,), name="tokens", dtype="int32")
    _save(keras.Model(ids, {"score": _pooled(ids, 20_000)}), folder)


def text(folder: str) -> None:
    """text [n, 1] string → score [n, 1]: split and looked up in the graph, then as `tokens`."""
    import keras

    keras.utils.set_random_seed(1)
    vocabulary = [f"word{number}" for number in range(WORDS)]
    split = keras.layers.TextVectorization(output_sequence_length=32, vocabulary=vocabulary)
    inputs = keras.Input((1,), name="text", dtype="string")
    _save(keras.Model(inputs, {"score": _pooled(split(inputs), WORDS + 2)}), folder)


def words(folder: str) -> None:
    """text [n, 1], strings of 200 words → score [n, 1]: ids by a text feature, then as `tokens`."""
    import keras

    from tfspark.features.text import Words, word_ids

    keras.utils.set_random_seed(1)
    inputs = keras.Input((1,), name="text", dtype="string")
    split = Words(200, "lower_and_strip")(inputs[:, 0])
    ids, depth = word_ids(split, "text", [f"word{number}" for number in range(WORDS)], 1, 0)
    _save(keras.Model(inputs, {"score": _pooled(ids, depth)}), folder)


def mixed(folder: str) -> None:
    """age, fare float32, siblings int64, paid bool, sex, port string, [n, 1] each → score [n, 1].

    An age or fare that is NaN counts as 0, with a flag beside it.
    """
    import keras

    keras.utils.set_random_seed(1)
    dtypes = {"age": "float32", "fare": "float32", "siblings": "int64", "paid": "bool"}
    dtypes |= {"sex": "string", "port": "string"}
    given = {name: keras.Input((1,), name=name, dtype=dtype) for name, dtype in dtypes.items()}
    parts = []
    for name in ("age", "fare"):
        unknown = keras.ops.isnan(given[name])
        known = keras.ops.where(unknown, keras.ops.zeros_like(given[name]), given[name])
        parts += [known * 0.02, keras.ops.cast(unknown, "float32")]
    parts += [keras.ops.cast(given[name], "float32") for name in ("siblings", "paid")]
    for name, words in (("sex", ["female", "male"]), ("port", ["C", "Q", "S"])):
        lookup = keras.layers.StringLookup(vocabulary=words, output_mode="one_hot")
        parts.append(lookup(given[name]))
    hidden = keras.layers.Concatenate()(parts)
    for _ in range(2):
        hidden = keras.layers.Dense(64, activation="relu")(hidden)
    score = keras.layers.Dense(1, activation="sigmoid", name="score")(hidden)
    _save(keras.Model(given, {"score": score}), folder)


def _pooled(ids: Any, size: int) -> Any:
    import keras

    hidden = keras.layers.Embedding(size, 32)(ids)
    hidden = keras.layers.GlobalAveragePooling1D()(hidden)
    hidden = keras.layers.Dense(64, activation="relu")(hidden)
    return keras.layers.Dense(1, activation="sigmoid", name="score")(hidden)


def _save(model: Any, folder: str) -> None:
    model.export(folder, verbose=False)
    model.save(f"{folder}.keras")
