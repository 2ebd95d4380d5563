"""Texts: the graph and the count of words against plain Python, ids, builders, what is refused."""

import os
import subprocess
import sys
from collections import Counter

import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sizes import size
from tfspark.config.recipe import Numeric, Text
from tfspark.contracts import parse_contract
from tfspark.errors import ConfigError
from tfspark.features.build import build_features
from tfspark.features.text import Words
from tfspark.features.words import Counted, counted_words, words_of
from tfspark.models.output import Output
from tfspark.models.structured import mlp
from tfspark.models.text import bag, conv

CONTRACT = parse_contract(
    b"""
apiVersion: v3.0.0
kind: DataContract
id: reviews
version: 1.0.0
status: active
schema:
  - name: reviews
    properties:
      - {name: id, logicalType: integer, physicalType: long, primaryKey: true, required: true}
      - {name: review, logicalType: string, physicalType: string}
      - {name: stars, logicalType: integer, physicalType: int}
""",
    "reviews.yaml",
)
PUNCTUATION = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~«»…—¿€©\u3002'
SPACES = " \t\n\r\v\f\0\x1f\x85\xa0\u2003\u2028\u3000"
PIECES = st.sampled_from(
    [
        *"aAzZiIıİßÌÍĨĮΣσςéÉДж漢0\u0301👍'’",
        *PUNCTUATION,
        *SPACES,
        "<br />",
        "<BR>",
        "<b>",
        "ΑΣ ",
        "don't ",
    ]
)
TEXTS = st.lists(PIECES, max_size=20).map("".join)


def reference(
    text: str, standardize: str, ngrams: int, length: int | None = None
) -> list[list[str]]:
    """The words, the pairs, ... of a text, in plain Python."""
    if "strip" in standardize:
        for tag in ("<br />", "<br/>", "<br>", "<BR>"):
            text = text.replace(tag, " ")
        text = text.replace("'", "").replace("’", "")
        text = "".join(" " if c in PUNCTUATION or c == "👍" else c for c in text)
    text = "".join(" " if c in SPACES else c for c in text)
    if "lower" in standardize:
        text = text.lower()
    words = text.split()[:length]
    runs = (
        [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
        for n in range(1, ngrams + 1)
    )
    return list(runs)


@settings(max_examples=size(60, soak=1_000), deadline=None)
@given(
    st.lists(TEXTS, min_size=1, max_size=8),
    st.sampled_from(["lower_and_strip", "lower", "strip", "none"]),
    st.integers(1, 3),
)
def test_the_graph_and_the_count_split_as_python_does(texts, standardize, ngrams):
    found = Words(6, standardize, ngrams)(tf.constant(texts)).numpy()
    for text, row in zip(texts, found, strict=True):
        wanted = []
        for n, runs in enumerate(reference(text, standardize, ngrams, 6)):
            wanted += runs + [""] * (6 - n - len(runs))
        assert [word.decode() for word in row] == wanted
    counted = Counter(words_of(pa.array(texts), standardize, ngrams).to_pylist())
    assert counted == Counter(
        w for t in texts for runs in reference(t, standardize, ngrams) for w in runs
    )


def test_every_character_is_the_same_for_the_graph_and_the_count_in_any_locale():
    code = """
import sys, unicodedata
import pyarrow as pa, tensorflow as tf
from tfspark.features.text import Words
from tfspark.features.words import words_of
most = int(sys.argv[1])
odd = (c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cs", "Co"))
told = (c for c in odd if ord(c) < most or unicodedata.category(c)[0] in "PSZ" or c.lower() != c)
texts = [f"a{c}b I" for c in told]
graph = [word.decode() for word in Words(4, "lower_and_strip")(tf.constant(texts)).numpy().ravel()]
counted = words_of(pa.array(texts), "lower_and_strip", 1).to_pylist()
print([w for w in graph if w] == counted, counted[-1], len(texts) > 15_000)
"""
    told = subprocess.run(
        [sys.executable, "-c", code, str(size(0x3000, soak=0x110000))],
        env={**os.environ, "LC_ALL": "tr_TR.UTF-8", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["True", "i", "True"]


def features(**settings):
    feature = Text(kind="text", name="words", column="review", length=4, **settings)
    words = [["good", 9], ["bad", 7], ["the", 7], ["odd", 1]]
    counted = {"distinct": 4, "values": words}
    statistics = {
        "review": {"words": {"lower_and_strip 1": counted}},
        "stars": {"mean": 3.0, "std": 1.0},
    }
    return build_features([feature, Numeric(kind="numeric", column="stars")], CONTRACT, statistics)


def test_ids_of_words_and_of_buckets(tmp_path):
    import keras

    texts = tf.constant(["Good, the BAD", "", "what the odd?"])

    def ids(**settings):
        made = features(**settings)
        model = keras.Model(made.inputs, made.texts["words"].ids)
        row = {"review": texts, "stars": tf.zeros(3, "int32")}
        return model({n: row[n] for n in made.inputs}).numpy().tolist(), made.texts["words"].depth

    assert ids() == ([[2, 4, 3, 0], [0, 0, 0, 0], [1, 4, 5, 0]], 6)
    assert ids(size=2, oov=1) == ([[2, 1, 3, 0], [0] * 4, [1, 1, 1, 0]], 4)
    assert ids(min_count=2) == ([[2, 4, 3, 0], [0] * 4, [1, 4, 1, 0]], 5)
    (tmp_path / "words.txt").write_text("Odd!\nGOOD\nodd\n")
    assert ids(file=str(tmp_path / "words.txt")) == ([[3, 1, 1, 0], [0] * 4, [1, 1, 2, 0]], 4)
    hashed, depth = ids(buckets=1_000_000)
    assert depth == 1_000_001
    assert hashed[0][1] == hashed[2][1] > 0
    assert hashed[1] == [0] * 4


@pytest.mark.parametrize("builder", [bag, conv, mlp])
def test_builders_take_texts_and_other_features_and_padding_changes_nothing(builder):
    made = features()
    model = builder(made, Output("probabilities", 46, "softmax"))
    texts = tf.constant(["bad odd", "the", ""])
    rows = {"review": texts, "stars": tf.constant([1, 2, 3], "int32")}
    found = model(rows).numpy()
    assert found.shape == (3, 46)
    padded = {**rows, "review": tf.strings.join(["<br/> ", texts, " ... "])}
    assert (model(padded).numpy() == found).all()


def test_what_is_counted_is_what_features_ask_for():
    text = {"kind": "text", "column": "review"}
    asked = [
        Text(**text, size=5),
        Text(**text, name="b", size=9),
        Text(**text, name="c", buckets=3),
    ]
    assert counted_words(asked) == (Counted("review", "lower_and_strip", 1, 9, alone=True),)
    assert not counted_words([*asked, Numeric(kind="numeric", column="review")])[0].alone


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ({"column": "stars"}, "needs strings"),
        (
            {"column": "review", "ngrams": 2},
            "has not counted the words of review; prepare it again",
        ),
        ({"column": "review", "min_count": 99}, "no word is left"),
        ({"column": "review", "file": "missing.txt"}, "no vocabulary file missing.txt"),
    ],
)
def test_what_cannot_be_built_says_so(feature, said):
    statistics = {"review": {"words": {"lower_and_strip 1": {"distinct": 1, "values": [["a", 1]]}}}}
    with pytest.raises(ConfigError, match=said):
        build_features([Text(kind="text", **feature)], CONTRACT, statistics)


def test_a_builder_of_texts_needs_one():
    made = build_features(
        [Numeric(kind="numeric", column="stars")], CONTRACT, {"stars": {"mean": 3.0, "std": 1.0}}
    )
    with pytest.raises(ConfigError, match="no feature of kind text"):
        conv(made, Output("p", 1, "sigmoid"))
