"""Columns find their inputs, or the message says what is missing and what is near."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import types as T

from tests import saved_models as models
from tfspark.contracts.types import spark_type
from tfspark.errors import SignatureError
from tfspark.registry.resolve import ModelFolder, resolve_model
from tfspark.scoring.model.binding import bind, check_outputs


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFolder]:
    root: Path = tmp_path_factory.mktemp("models")
    builders = (models.mlp, models.mixed, models.tokens, models.quoted)
    return {b.__name__: resolve_model(b(root / b.__name__)) for b in builders}


def schema(**columns: str) -> T.StructType:
    return T.StructType([T.StructField(n, spark_type(kind)) for n, kind in columns.items()])


PEOPLE = schema(id="bigint", Age="double", sex="string", siblings="int", paid="boolean")


MAP = T.StructField("features", T.MapType(T.StringType(), T.IntegerType()))


def people(**other: str) -> T.StructType:
    columns = {"age": "double", "sex": "string", "siblings": "int", "paid": "boolean", **other}
    return schema(**columns)


def test_by_name_whatever_the_case(folders: dict[str, ModelFolder]) -> None:
    bound = bind(folders["mixed"], PEOPLE, None)
    assert {b.name: b.columns for b in bound} == {
        "age": ("Age",),
        "paid": ("paid",),
        "sex": ("sex",),
        "siblings": ("siblings",),
    }


def test_by_name_with_the_case(folders: dict[str, ModelFolder]) -> None:
    with pytest.raises(SignatureError, match="input age .* has no column of its name"):
        bind(folders["mixed"], PEOPLE, None, case_sensitive=True)


def test_all_mistakes_at_once(folders: dict[str, ModelFolder]) -> None:
    texts = people(age="string", siblings="string", paid="string")
    with pytest.raises(SignatureError) as caught:
        bind(folders["mixed"], texts, None)
    first, *lines = str(caught.value).split("\n  ")
    assert first.endswith("mixed: 3 mistakes:")
    assert [line.split()[1] for line in lines] == ["age", "siblings", "paid"]


def test_by_mapping(folders: dict[str, ModelFolder]) -> None:
    names = {"a b": "float", "c.d": "double", "e`f": "int", "g'h": "decimal(10,2)"}
    mapping = {"features": ["a b", "c.d", "e`f", "g'h"]}
    (bound,) = bind(folders["mlp"], schema(**names), mapping)
    assert bound.stacked
    assert bound.columns == ("a b", "c.d", "e`f", "g'h")
    (bound,) = bind(folders["tokens"], schema(**{"x.y": "array<int>"}), {"ids": "x.y"})
    assert bound.columns == ("x.y",)


@pytest.mark.parametrize(
    ("model", "table", "inputs", "said"),
    [
        (
            "mixed",
            schema(Agee="double", sex="string", siblings="int", paid="boolean"),
            None,
            r"input age \(float32.*no column of its name.*Agee.*did you mean Agee\?.*map it",
        ),
        ("mixed", PEOPLE, {"aeg": "Age"}, r"no input aeg.*age.*did you mean age\?"),
        ("mixed", PEOPLE, {"age": "Aeg"}, r"mapped to the column Aeg.*did you mean Age\?"),
        (
            "mixed",
            people(age="string"),
            None,
            r"input age \(float32, shape \[\]\) cannot take the column age \(string\)",
        ),
        ("mixed", people(sex="int"), None, r"column sex \(int\)"),
        ("mixed", people(paid="int"), None, r"paid \(int\)"),
        (
            "mlp",
            schema(f0="float", f1="float"),
            None,
            r'map it: inputs=\{\'features\': \["f0", "f1"',
        ),
        (
            "mlp",
            schema(f0="float", f1="float"),
            {"features": ["f0", "f1"]},
            r"takes \[4\] .* 2 columns",
        ),
        ("mlp", schema(features="float"), None, "no list level"),
        ("mlp", schema(features="array<array<float>>"), None, "2 list level"),
        ("mlp", T.StructType([MAP]), None, r"features \(map"),
        (
            "mlp",
            schema(a="float", b="string"),
            {"features": ["a", "b", "a", "a"]},
            r"column b \(string\)",
        ),
        ("mlp", schema(a="float"), {"features": []}, "0 columns"),
    ],
)
def test_what_does_not_fit(
    folders: dict[str, ModelFolder], model: str, table: T.StructType, inputs: object, said: str
) -> None:
    with pytest.raises(SignatureError, match=said):
        bind(folders[model], table, inputs)  # type: ignore[arg-type]


def test_outputs_do_not_take_kept_names(folders: dict[str, ModelFolder]) -> None:
    check_outputs(folders["mixed"], ["id", "age"])
    with pytest.raises(SignatureError, match=r"output p would take the name of the kept column P"):
        check_outputs(folders["mixed"], ["id", "P"])
