"""Images in folders and zips as rows, and what is wrong with some."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.images import pictures
from tfspark.errors import ConfigError, ContractViolation, SourceMissing, StorageError
from tfspark.images import table as table_module
from tfspark.images.check import ImageRule, fault
from tfspark.images.table import IMAGE, LABEL, PATH, UNREAD, ImageTable, image_table

RULE = ImageRule(IMAGE)


def rows_of(table: ImageTable, count: int = 3) -> list[dict[str, Any]]:
    shares = table.shares(count)
    assert [file for share in shares for file in share] == list(table.files)
    return [row for share in shares for batch in table.batches(share) for row in batch.to_pylist()]


def test_what_models_decode_is_good_and_all_else_is_said() -> None:
    for name, (form, mode) in pictures.FORMS.items():
        assert fault(pictures.encoded(1, form, mode), RULE) is None, name
    for name, (content, said) in pictures.bad().items():
        why = fault(content, RULE)
        assert (
            name == "top.jpg"
            or (why and said.endswith(f"image: {why}"[-len(said) :]))
            or (why and said in f"image: {why}")
        ), (name, why)
    small = ImageRule(IMAGE, least_side=20)
    assert fault(pictures.encoded(1), small) == "is 16 x 12 pixels, a side below 20 (least_side)"


def test_a_folder_and_a_zip_are_the_same_rows(tmp_path: Path) -> None:
    files = pictures.good(8) | {
        "vögel/ü 日本.jpg": pictures.encoded(1),
        "deep/er/cat/1.JPG": pictures.encoded(2),
        "_label/1.jpg": pictures.encoded(3),
        "top.jpg": b"",
        # Neither images nor hidden: left out, and said.
        "README.txt": b"x",
        "airplane/labels.csv": b"x",
        # Hidden.
        ".DS_Store": b"x",
        "__MACOSX/airplane/._0.jpg": b"x",
        "airplane/.thumb.jpg": b"x",
        "airplane/Thumbs.db": b"x",
    }
    where = pictures.folder(tmp_path / "folder", files.items())
    packed = pictures.zipped(tmp_path / "packed.zip", files.items())
    stored = pictures.zipped(tmp_path / "stored.zip", files.items(), packed=False)
    tables = [image_table(str(path)) for path in (where, packed, stored)]
    found = [sorted(rows_of(table), key=lambda row: row[PATH]) for table in tables]
    assert found[0] == found[1] == found[2]
    by_path = {row[PATH]: row for row in found[0]}
    assert len(by_path) == 12
    assert all(files[name] == row[IMAGE] for name, row in by_path.items())
    assert by_path["vögel/ü 日本.jpg"][LABEL] == "vögel"
    assert by_path["deep/er/cat/1.JPG"][LABEL] == "cat"
    assert by_path["_label/1.jpg"][LABEL] == "_label"
    assert by_path["top.jpg"][LABEL] is None
    for table in tables:
        assert sorted(table.left_out) == ["README.txt", "airplane/labels.csv"]
        [batch] = table.batches(table.files[:2], [PATH])
        assert batch.schema.names == [PATH]


def test_zips_as_programs_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pictures.encoded(1)
    names = ["a/twice.jpg", "a/ü.jpg", "a/locked.jpg", "a/odd.jpg", "a/torn.jpg"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the name that is there twice
        path = pictures.zipped(
            tmp_path / "t.zip", [(n, image) for n in ["a/twice.jpg", *names]], packed=False
        )
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")

    def entry(name: str) -> int:
        """Where the directory has a member."""
        return content.index(name.encode(), central) - 46

    content[entry("a/ü.jpg") + 9] = 0  # not said to be UTF-8, as many programs leave it
    content[entry("a/locked.jpg") + 8] |= 1
    content[entry("a/odd.jpg") + 10] = 93
    content[content.index(b"a/torn.jpg") + 60] ^= 0xFF
    path.write_bytes(content)
    rows = rows_of(image_table(str(path)))
    assert [row[PATH] for row in rows] == ["a/twice.jpg", *names]
    assert [row[IMAGE] for row in rows] == [image] * 3 + [None] * 3
    assert [row[UNREAD] for row in rows][3:] == [
        "is encrypted in the zip; pack it without a password",
        "is packed by method 93; pack the zip with deflate",
        "is damaged in the zip",
    ]
    monkeypatch.setattr(table_module, "MOST_BYTES", 10)
    assert "more than the 10" in rows_of(image_table(str(path)))[0][UNREAD]


def test_tasks_find_a_path_that_is_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures.zipped(tmp_path / "t.zip", pictures.good(2).items())
    pictures.folder(tmp_path / "f", pictures.good(2).items())
    monkeypatch.chdir(tmp_path)
    tables = [image_table("t.zip"), image_table("f")]
    monkeypatch.chdir("/")
    assert rows_of(tables[0]) == rows_of(tables[1])


def test_what_is_no_source_of_images(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="is not there.*--source.path: one folder for each"):
        image_table(str(tmp_path / "none.zip"))
    (tmp_path / "t.zip").write_bytes(b"PK no zip")
    with pytest.raises(ConfigError, match=r"t\.zip: is no zip that can be read"):
        image_table(str(tmp_path / "t.zip"))
    pictures.folder(tmp_path / "f", [("a/notes.txt", b"x")])
    with pytest.raises(ContractViolation, match="holds no image.*1 others, such as a/notes.txt"):
        image_table(str(tmp_path / "f"))


def test_files_that_change_meanwhile(tmp_path: Path) -> None:
    where = pictures.folder(tmp_path / "f", pictures.good(2).items())
    packed = pictures.zipped(tmp_path / "t.zip", pictures.good(2).items())
    tables = [image_table(str(where)), image_table(str(packed))]
    (where / tables[0].files[0].name).write_bytes(b"other")
    pictures.zipped(packed, pictures.good(3).items())
    for table in tables:
        with pytest.raises(StorageError, match="was changed"):
            rows_of(table)
