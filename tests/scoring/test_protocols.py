"""What is scored and how is asked in two factories; everywhere else the objects answer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfspark.scoring import PLANS
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.plans.plan import Plan

ROOT = Path(__file__).parents[2] / "tfspark"
FACTORIES = ("scoring/kinds/resolve.py", "scoring/plans/registry.py")
ASKED = {"Segments", "ModelFolder"}  # what a user names, and what a kind holds


def below(kind: type) -> Iterator[type]:
    yield kind
    for other in kind.__subclasses__():
        yield from below(other)


def last_names(node: ast.AST) -> set[str]:
    """The names in an expression, of `a.b` the `b`."""
    whole = list(ast.walk(node))
    held = {id(n.value) for n in whole if isinstance(n, ast.Attribute)}
    return {
        n.attr if isinstance(n, ast.Attribute) else n.id
        for n in whole
        if isinstance(n, ast.Attribute | ast.Name) and id(n) not in held
    }


def questions(source: str) -> list[str]:
    """Where a program asks for the kind of model by isinstance, or compares a plan's name."""
    kinds = ASKED | {kind.__name__ for base in (AnyModel, Plan) for kind in below(base)}
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            of, what = node.args
            asks = last_names(of) & {"model", "models"} and "keras." not in ast.unparse(what)
            if asks or last_names(what) & kinds:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Compare):
            said = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
            parts = {ast.unparse(part) for part in [node.left, *node.comparators]}
            named = any(re.search(r"(^|\.)plan(\.name)?$", part) for part in parts)
            if said & set(PLANS[1:]) or named:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.MatchValue) and ast.unparse(node.value)[1:-1] in PLANS[1:]:
            found.append(ast.unparse(node))
    return found


def test_kinds_of_models_and_plans_are_asked_in_the_factories_alone() -> None:
    import tfspark.scoring.kinds.resolve
    import tfspark.scoring.plans.registry  # noqa: F401 - all kinds are known

    asked = {
        str(path.relative_to(ROOT)): questions(path.read_text()) for path in ROOT.rglob("*.py")
    }
    assert {file for file in FACTORIES if asked.pop(file)} == set(FACTORIES)
    assert {file: found for file, found in asked.items() if found} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "if isinstance(model, BySegment): pass",
        "x = isinstance(self.model, dict)",
        "if isinstance(given, str | many.SideBySide): pass",
        "if isinstance(asked, (Segments, str)): pass",
        "y = isinstance(found, Jvm)",
        "if plan == 'scan': pass",
        "z = choice.plan.name in ('arrow', 'jvm')",
        "if 'pandas' != name: pass",
        "w = plan.name == other",
        "match name:\n    case 'jvm': pass",
    ],
)
def test_a_planted_question_is_found(planted: str) -> None:
    assert len(questions(planted)) == 1


def test_every_plan_and_every_kind_answers() -> None:
    from tfspark.scoring.plans import registry

    plans = [plan for name in PLANS[1:] for plan in registry.named(name)]
    assert tuple(plan.name for plan in plans) == PLANS[1:]
    assert [plan.name for plan in registry.named("auto")] == ["scan", "arrow"]
    for kind in (type(plan) for plan in plans):
        assert not kind.__abstractmethods__
