"""`spec/pruned.yaml`: what is opened of a model for a signature, on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorflow.core.protobuf import saved_model_pb2

from tests.conftest import ROOT
from tests.old.make import FILE, HERE, MODELS
from tfspark.errors import SignatureError
from tfspark.registry.entry import serving
from tfspark.registry.signature import DEFAULT, read_signature
from tfspark.scoring.model.prune import Pruned, pruned

SPEC = yaml.safe_load((ROOT / "spec" / "pruned.yaml").read_text("utf-8"))


def meta_of(name: str) -> Any:
    content = Path(HERE, name, FILE).read_bytes()
    return serving(saved_model_pb2.SavedModel.FromString(content).meta_graphs, name)


def told(part: Pruned) -> dict[str, list[str]]:
    """A case of it."""
    nodes = {node.name: node for node in part.graph.node}

    def texts(name: str) -> list[str]:
        node = nodes.get(f"tfspark_restore/{name}")
        values = node.attr["value"].tensor.string_val if node else ()
        return [bytes(value).decode() for value in values]

    puts = enumerate(zip(texts("keys"), texts("parts"), strict=True))
    restored = [(nodes[f"tfspark_restore/put_{at}"].input[0], *saved) for at, saved in puts]
    return {
        "nodes": [name for name in nodes if not name.startswith("tfspark_restore")],
        "functions": [f.signature.name for f in part.graph.library.function],
        "restored": [" ".join(one).strip() for one in restored],
        "init": list(part.init),
        "assets": [f"{tensor} {file}" for tensor, file in part.assets.items()],
    }


@pytest.mark.parametrize("case", SPEC["cases"], ids=lambda c: f"{c['model']} {c['signature']}")
def test_what_is_opened(case: dict[str, Any]) -> None:
    found = told(pruned(meta_of(case["model"]), case["signature"]))
    assert {"model": case["model"], "signature": case["signature"], **found} == case


def test_all_models_are_there() -> None:
    assert {case["model"] for case in SPEC["cases"]} == {make.__name__ for make in MODELS}


@pytest.mark.parametrize("case", SPEC["shapes"], ids=lambda case: str(case["sizes"]))
def test_tensors_of_more_values_than_java_counts(case: dict[str, Any]) -> None:
    meta = meta_of("reference")
    shape = meta.signature_def[DEFAULT].inputs["x"].tensor_shape
    del shape.dim[:]
    for size in case["sizes"]:
        shape.dim.add(size=size)
    if "says" in case:
        with pytest.raises(SignatureError) as caught:
            read_signature("M", meta=meta)
        assert str(caught.value) == case["says"]
    else:
        assert read_signature("M", meta=meta).inputs["x"].shape == tuple(case["sizes"][1:])
