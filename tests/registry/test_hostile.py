"""Models made to do more than compute are refused, one by one; honest ones are not."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from tensorflow.core.protobuf import saved_model_pb2

from tests.conftest import ROOT
from tests.registry import hostile_old
from tests.registry.fuzz import fuzzed, joined, split
from tests.registry.hostile import Body, Honest, edited, plain, product, said
from tests.registry.hostile_cases import CASES
from tests.registry.hostile_graphs import REACHING, reaching
from tests.sizes import size
from tfspark.registry import safety
from tfspark.registry.savedmodel import parse

SAYS = yaml.safe_load((ROOT / "spec" / "hostile.yaml").read_text("utf-8"))["models"]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    return Honest(tmp_path_factory.mktemp("honest"))


def test_there_is_a_case_for_each() -> None:
    assert {case["name"] for case in SAYS} == {name.replace("_", " ") for name in CASES}


@pytest.mark.parametrize("case", SAYS, ids=lambda case: str(case["name"]))
def test_it_is_refused(case: dict[str, Any], honest: Honest, tmp_path: Path) -> None:
    content = CASES[case["name"].replace(" ", "_")](honest)
    name, text = said(tmp_path, content)
    assert (name, plain(text, tmp_path)) == (case["class"], case["says"])


def test_tensorflow_s_own_classes_are_asked_too(
    honest: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever our parser sees: here an honest model."""
    monkeypatch.setattr(safety, "parse", lambda content, where: parse(honest.mlp, where))
    for case in SAYS:
        if case["class"] == "UnsafeModelError":
            content = CASES[case["name"].replace(" ", "_")](honest)
            _name, text = said(tmp_path, content, tensorflow=True)
            assert plain(text, tmp_path) == case["says"]
    assert said(tmp_path, honest.lookup, tensorflow=True) == ("", "")


def test_everything_everywhere_is_refused(honest: Honest, tmp_path: Path) -> None:
    made = dict(product(honest)) | dict(hostile_old.product(honest))
    assert len(made) == 98 + 49
    texts = {name: said(tmp_path, content)[1] for name, content in made.items()}
    assert [name for name, text in texts.items() if "could do more" not in text] == []


@pytest.mark.parametrize("tensorflow", [False, True])
def test_what_reaches_further_is_refused(honest: Honest, tmp_path: Path, tensorflow: bool) -> None:
    for op in REACHING:
        name, text = said(tmp_path, edited(honest.mlp, reaching(op)), tensorflow)
        assert name == "UnsafeModelError", op
        assert f"op {op} (node evil in the main graph) is not allow-listed" in text


def test_many_savers_take_no_long(honest: Honest, tmp_path: Path) -> None:
    """Nodes that save and are not run, beside as many that are: a second, and not minutes."""

    def change(meta: Any) -> None:
        body = Body(meta.graph_def.node, inside=False)
        for _ in range(20_000):
            body.nodes.add(name=f"save_{len(body.nodes)}", op="SaveV2")
            node = body.nodes.add(name=f"run_{len(body.nodes)}", op="NoOp")
            body.nodes[0].input.append(f"^{node.name}")

    content = edited(honest.old, change)
    started = time.monotonic()
    said(tmp_path, content)
    assert time.monotonic() - started < 30


def test_the_honest_ones_pass(honest: Honest, tmp_path: Path) -> None:
    for content in (honest.mlp, honest.lookup, honest.old):
        assert said(tmp_path, content, tensorflow=True) == ("", "")


def test_what_passes_means_to_us_what_it_means_to_tensorflow(
    honest: Honest, tmp_path: Path
) -> None:
    random, seen = Random(7), Counter[str]()
    seeds = honest.seeds
    for _ in range(size(2_000, soak=20_000)):
        content = fuzzed(random.choice(seeds), random, seeds)
        name, _text = said(tmp_path, content)
        seen[name] += 1
        if name != "IntegrityError":
            ours, theirs = parse(content, ""), saved_model_pb2.SavedModel.FromString(content)
            same = [model.SerializeToString(deterministic=True) for model in (ours, theirs)]
            assert same[0] == same[1], content
    assert set(seen) == {"", "IntegrityError", "UnsafeModelError"}
    assert min(seen.values()) > 50


def test_any_order_of_fields_passes(honest: Honest, tmp_path: Path) -> None:
    """Only protobuf's own freedom is left: which field comes first."""
    (meta,) = (value for number, _, value in split(honest.lookup) or [] if number == 2)
    fields = split(meta) or []
    for turned in (list(reversed(fields)), fields[3:] + fields[:3]):
        content = b"\x08\x01" + joined([(2, 2, joined(turned))])
        assert said(tmp_path, content) == ("", "")
