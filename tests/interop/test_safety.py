"""The Scala module says of every model what Python says: hostile, honest, and damaged ones; and what
passes is opened alike.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import keras
import pytest
from tensorflow.core.protobuf import saved_model_pb2

from tests import saved_models as models
from tests.interop.jobs import build, java
from tests.old.make import HERE, MODELS
from tests.registry import hostile_old
from tests.registry.fuzz import fuzzed
from tests.registry.hostile import Honest, edited, product, said
from tests.registry.hostile_cases import CASES
from tests.registry.hostile_graphs import REACHING, reaching
from tests.sizes import size
from tfspark.registry.entry import serving
from tfspark.scoring.model.prune import pruned

Said = tuple[str, str, dict[str, str]]


@pytest.fixture(scope="module")
def jars(scala: Any) -> list[str]:
    """Test classes, the module, and what it needs."""
    return build()


def by_python(folder: Path, content: bytes) -> Said:
    """What Python says of it: class and text of what it is refused with, and what is opened of it."""
    refused = said(folder, content)
    if refused != ("", ""):
        return *refused, {}
    meta = serving(saved_model_pb2.SavedModel.FromString(content).meta_graphs, "")
    return *refused, {name: opened(meta, name) for name in meta.signature_def}


def opened(meta: Any, signature: str) -> str:
    """The sum of what is opened for a signature; "none" where it cannot be."""
    try:
        part = pruned(meta, signature)
    except Exception:  # a damaged one, of which the error is no text of ours
        return "none"
    whole = hashlib.sha256()

    def add(*texts: str) -> None:
        whole.update("".join(f"{text}\n" for text in texts).encode())

    for node in part.graph.node:
        add(node.name, node.op, node.device, *node.input)
        # By name: parsers differ in the order of a map.
        for key, value in sorted(node.attr.items()):
            add(key)
            whole.update(value.SerializeToString())
    add(*(function.signature.name for function in part.graph.library.function))
    files = (f"{tensor}={file}" for tensor, file in part.assets.items())
    add(part.restore, part.filename, *part.init, *files)
    return whole.hexdigest()


def by_jvm(jars: list[str], models: Iterable[bytes], folder: Path) -> list[Said]:
    """What the module says of each, in one JVM."""
    paths = []
    for number, content in enumerate(models):
        paths.append(folder / f"{number}.pb")
        paths[-1].write_bytes(content)
    ran = subprocess.run(
        java("tfspark.model.ManyModels", jars, str(folder)),
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(json.loads(line)) for line in ran.stdout.splitlines()]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    return Honest(tmp_path_factory.mktemp("honest"))


def test_hostile_models(honest: Honest, jars: list[str], tmp_path: Path) -> None:
    made = {name: make(honest) for name, make in CASES.items()}
    made |= dict(product(honest)) | dict(hostile_old.product(honest))
    made |= {f"reaching {op}": edited(honest.mlp, reaching(op)) for op in REACHING}
    python = {name: by_python(tmp_path, content) for name, content in made.items()}
    assert "" not in [refused for refused, *_ in python.values()]
    assert dict(zip(made, by_jvm(jars, made.values(), tmp_path), strict=True)) == python


def test_honest_models(honest: Honest, jars: list[str], tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb\n")
    word = keras.Input((1,), dtype="string", name="word")
    lookup = keras.layers.StringLookup(vocabulary=str(tmp_path / "words.txt"))
    scored = keras.layers.Dense(1)(lookup(word))
    keras.Model(word, scored).export(str(tmp_path / "keras"), verbose=False)
    builds = (models.mixed, models.picky, models.tokens, models.quoted, models.cnn)
    folders = [Path(build(tmp_path / build.__name__)) for build in builds]
    made = [(f / "saved_model.pb").read_bytes() for f in (*folders, tmp_path / "keras")]
    made += [honest.mlp, honest.lookup]
    made += [(HERE / make.__name__ / "saved_model.pb").read_bytes() for make in MODELS]
    python = [by_python(tmp_path, content) for content in made]
    assert {(refused, text) for refused, text, _ in python} == {("", "")}
    assert all("none" not in signatures.values() for *_, signatures in python)
    assert by_jvm(jars, made, tmp_path) == python


def test_damaged_models(honest: Honest, jars: list[str], tmp_path: Path) -> None:
    random, seeds = Random(8), honest.seeds
    count = size(1_000, soak=20_000)
    made = [fuzzed(random.choice(seeds), random, seeds) for _ in range(count)]
    python = [by_python(tmp_path, content) for content in made]
    for number, answer in enumerate(by_jvm(jars, made, tmp_path)):
        assert answer == python[number], tmp_path / f"{number}.pb"
