"""The manifest names every file; a file that is another is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfspark.errors import IntegrityError
from tfspark.registry.manifest import MANIFEST, digest_folder, read_manifest, verify, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"graph")
    (model / "variables" / "variables.index").write_bytes(b"index")
    return model


def test_written_and_read(folder: Path) -> None:
    before = digest_folder(str(folder))
    manifest = write_manifest(str(folder), {"name": "m", "version": "1"})
    assert read_manifest(str(folder)) == manifest
    assert manifest["digest"] == before == digest_folder(str(folder))
    assert sorted(manifest["files"]) == ["saved_model.pb", "variables/variables.index"]
    assert manifest["files"]["saved_model.pb"]["bytes"] == 5
    verify(str(folder), manifest)


def test_the_digest_is_of_contents_and_names(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    folder.rename(copy)
    before = digest_folder(str(copy))
    (copy / "saved_model.pb").rename(copy / "other.pb")
    assert digest_folder(str(copy)) != before


def test_no_manifest_is_no_error(folder: Path) -> None:
    assert read_manifest(str(folder)) is None


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda f: (f / "saved_model.pb").write_bytes(b"hacks"), "saved_model.pb was changed"),
        (lambda f: (f / "saved_model.pb").write_bytes(b"longer"), "saved_model.pb was changed"),
        (lambda f: (f / "variables/variables.index").unlink(), "variables.index is missing"),
        (lambda f: (f / "extra.py").write_bytes(b""), "extra.py is not in its manifest"),
    ],
)
def test_a_changed_file_is_named(folder: Path, harm, said: str) -> None:  # type: ignore[no-untyped-def]
    manifest = write_manifest(str(folder), {})
    harm(folder)
    with pytest.raises(IntegrityError, match=said):
        verify(str(folder), manifest)


def test_a_changed_digest_is_named(folder: Path) -> None:
    manifest = write_manifest(str(folder), {})
    with pytest.raises(IntegrityError, match=MANIFEST):
        verify(str(folder), {**manifest, "digest": "0"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "no manifest"),
        (b'{"format": 9, "files": {}, "digest": ""}', "format 9"),
    ],
)
def test_a_broken_manifest(folder: Path, content: bytes, said: str) -> None:
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(IntegrityError, match=said):
        read_manifest(str(folder))
