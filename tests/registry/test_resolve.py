"""What a user names, found or not, verified, with its nulls."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests import saved_models as models
from tfspark.errors import IntegrityError, ModelNotFound, UnsafeModelError
from tfspark.registry.manifest import digest_folder, write_manifest
from tfspark.registry.resolve import resolve_model
from tfspark.tensors import INT_NULL, TensorSpec


def test_a_model_of_the_users_own(tmp_path: Path) -> None:
    found = resolve_model(models.mixed(tmp_path / "mine"))
    assert (found.name, found.version, found.manifest) == ("mine", "", None)
    assert found.digest == digest_folder(found.path)
    nulls = {name: spec.null for name, spec in found.signature.inputs.items()}
    assert math.isnan(nulls.pop("age"))  # type: ignore[arg-type]
    assert nulls == {"sex": "", "siblings": None, "paid": None}


def test_the_manifest_says_what_stands_for_null(tmp_path: Path) -> None:
    folder = models.mixed(tmp_path / "passengers" / "3")
    inputs = {"siblings": TensorSpec("int64", (), INT_NULL), "age": TensorSpec("float32")}
    fields = {
        "name": "passengers",
        "version": "3",
        "inputs": {n: s.to_json() for n, s in inputs.items()},
        "signature": "serving_default",
    }
    manifest = write_manifest(folder, fields)
    found = resolve_model(folder)
    assert (found.name, found.version) == ("passengers", "3")
    assert found.digest == manifest["digest"]
    assert found.signature.inputs["siblings"].null == INT_NULL
    assert found.signature.inputs["age"].null is None


def test_numbered_folders_have_their_names(tmp_path: Path) -> None:
    found = resolve_model(models.mlp(tmp_path / "churn" / "12"))
    assert (found.name, found.version) == ("churn", "12")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: None, "there is no such folder"),
        (lambda f: f.mkdir(), "it is empty"),
        (lambda f: (f / "weights").mkdir(parents=True), "there is: weights"),
        (lambda f: models.mlp(f / "2") and models.mlp(f / "10"), "versions 2, 10.*name one: .*/10"),
    ],
)
def test_what_is_no_model(tmp_path: Path, make, said: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "m")
    with pytest.raises(ModelNotFound, match=said):
        resolve_model(str(tmp_path / "m"))


def test_a_tampered_model_is_not_opened(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")
    write_manifest(folder, {"name": "m", "version": "1"})
    data = next((tmp_path / "m" / "variables").glob("*.data*"))
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"variables\.data.* was changed"):
        resolve_model(folder)


@pytest.mark.parametrize("to", ["canary.txt", "."])
def test_a_link_below_a_model_is_refused(tmp_path: Path, to: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary.txt").write_text("secret")
    folder = models.mlp(tmp_path / "m")
    (tmp_path / "link").symlink_to(folder)
    assert resolve_model(str(tmp_path / "link")).name == "link"
    (tmp_path / "m" / "assets").mkdir(exist_ok=True)
    (tmp_path / "m" / "assets" / "vocab.txt").symlink_to(outside / to)
    with pytest.raises(IntegrityError, match=r"m: assets/vocab.txt is a link, which may lead"):
        resolve_model(folder)


def test_an_unsafe_model_is_not_opened(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")
    (tmp_path / "m" / "saved_model.pbtxt").write_text("")
    with pytest.raises(UnsafeModelError):
        resolve_model(folder)
