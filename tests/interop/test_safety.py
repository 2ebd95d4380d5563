"""The Scala module says of every model what Python says: hostile, honest, and damaged ones."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import keras
import pytest
from py4j.protocol import Py4JJavaError

from tests import saved_models as models
from tests.registry.fuzz import fuzzed
from tests.registry.hostile import Honest, product, said
from tests.registry.hostile_cases import CASES
from tests.sizes import size


class Jvm:
    """The module's check."""

    def __init__(self, spark: Any) -> None:
        self.model = spark._jvm.tfspark.model
        self.nothing = spark._jvm.PythonUtils.toSeq([])

    def said(self, folder: Path, content: bytes) -> tuple[str, str]:
        try:
            self.model.Safety.check(
                self.nothing, self.model.SavedModelFile(str(folder), content)
            )
        except Py4JJavaError as error:
            java = error.java_exception
            return java.getClass().getSimpleName(), java.getMessage()
        return "", ""


@pytest.fixture(scope="module")
def jvm(spark: Any) -> Jvm:
    return Jvm(spark)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    return Honest(tmp_path_factory.mktemp("honest"))


def test_hostile_models(honest: Honest, jvm: Jvm, tmp_path: Path) -> None:
    made = {name: make(honest) for name, make in CASES.items()} | dict(product(honest))
    python = {name: said(tmp_path, content) for name, content in made.items()}
    assert {name: jvm.said(tmp_path, content) for name, content in made.items()} == python
    assert ("", "") not in python.values()


def test_honest_models(honest: Honest, jvm: Jvm, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb\n")
    word = keras.Input((1,), dtype="string", name="word")
    lookup = keras.layers.StringLookup(vocabulary=str(tmp_path / "words.txt"))
    keras.Model(word, keras.layers.Dense(1)(lookup(word))).export(
        str(tmp_path / "keras"), verbose=False
    )
    builds = (models.mixed, models.picky, models.tokens, models.quoted, models.cnn)
    folders = [Path(build(tmp_path / build.__name__)) for build in builds]
    contents = [(f / "saved_model.pb").read_bytes() for f in (*folders, tmp_path / "keras")]
    for content in (*contents, honest.mlp, honest.lookup):
        assert (said(tmp_path, content), jvm.said(tmp_path, content)) == (("", ""), ("", ""))


def test_damaged_models(honest: Honest, jvm: Jvm, tmp_path: Path) -> None:
    random, seeds = Random(8), [honest.mlp, honest.lookup]
    for _ in range(size(400, soak=20_000)):
        content = fuzzed(random.choice(seeds), random, seeds)
        assert jvm.said(tmp_path, content) == said(tmp_path, content), content
