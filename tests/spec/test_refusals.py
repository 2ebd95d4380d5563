"""`spec/refusals.yaml`: what Python says of wrong models and rows; `tests/interop` asks the JVM."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.interop import refusals
from tests.interop.refusals import ROWS, SPEC, columns_of, failed, named, of_python, poison
from tfspark.scoring.frame import score


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models") / "refused"
    refusals.make_models(made)
    return made


def plain(said: str, folder: Path) -> str:
    return re.sub(r"\d{3,}", "N", said.replace(str(folder), "FOLDER"))


@pytest.mark.parametrize("case", SPEC["models"], ids=lambda case: str(case["name"]))
def test_a_model_is_refused(case: dict[str, Any], folder: Path, spark: Any) -> None:
    model, inputs = named(folder, case["model"]), columns_of(case["inputs"])
    name, said, code = of_python(spark.sql(ROWS), model, inputs, case.get("signature"))
    assert (name, code, plain(said, folder)) == (case["class"], case["code"], case["says"])


@pytest.mark.parametrize("case", SPEC["rows"], ids=lambda case: str(case["name"]))
def test_a_row_ends_the_query(case: dict[str, Any], folder: Path, spark: Any) -> None:
    poisoned, model = poison(spark.sql(ROWS), folder, case["name"])
    said = failed(score(poisoned, model, keep=["id", "sex"], plan="arrow"))
    assert plain(said, folder) == case["says"]
