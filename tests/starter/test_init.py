"""`tfspark init`: what it says of tables that nobody has prepared."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import write_deltalake

from tests.images import pictures
from tests.starter import tables
from tfspark.cli import main
from tfspark.config import load_settings
from tfspark.contracts import load_contract
from tfspark.starter.facts import facts
from tfspark.starter.forms import forms_of


def init(table: Path, out: Path, *more: str) -> int:
    return main(None, ["init", str(table), "--out", str(out), "--date", "2026-11-20", *more])


def made(table: Path, *more: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The columns of the contract by name, and the recipe."""
    out = table.parent / "out"
    assert init(table, out, *more) == 0
    load_contract(str(out / "contract.yaml"))
    load_settings(str(out / "recipe.yaml"), {})
    (entry,) = yaml.safe_load((out / "contract.yaml").read_text("utf-8"))["schema"]
    recipe = yaml.safe_load((out / "recipe.yaml").read_text("utf-8"))
    return {column["name"]: column for column in entry["properties"]}, recipe


def types(columns: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: column["physicalType"] for name, column in columns.items()}


def test_a_table_of_customers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns, recipe = made(tables.churn(tmp_path))
    assert types(columns) == {
        "customer": "string",  # 00001 is no number
        "gender": "string",
        "Senior Citizen": "boolean",
        "tenure": "bigint",
        "Plan": "string",
        "Total Charges": "double",
        "notes": "string",
        "Churn": "boolean",
    }
    assert [n for n, c in columns.items() if c.get("primaryKey")] == ["customer"]
    assert [n for n, c in columns.items() if c.get("role") == "label"] == ["Churn"]
    assert [n for n, c in columns.items() if c.get("role") == "ignore"] == ["notes"]
    assert columns["tenure"]["logicalTypeOptions"]["minimum"] == 0
    assert columns["tenure"]["logicalTypeOptions"]["maximum"] > 72
    assert recipe["model"]["task"] == "binary"
    assert recipe["date"] == dt.date(2026, 11, 20)
    by_column = {feature["column"]: feature for feature in recipe["features"]}
    assert by_column.keys() == {"gender", "Senior Citizen", "tenure", "Plan", "Total Charges"}
    assert by_column["Plan"]["kind"] == "vocabulary"
    assert by_column["Total Charges"]["missing_flag"]
    assert recipe["score"] == {"model": "models:/churn@champion", "keep": ["customer"]}
    said = capsys.readouterr().out
    assert "Churn, binary (guessed: --label)" in said
    for job in ("prepare", "train", "score"):
        assert f"  tfspark {job} --config {tmp_path / 'out' / 'recipe.yaml'}\n" in said
    text = (tmp_path / "out" / "contract.yaml").read_text("utf-8")
    assert "# customer: every row has its own; begins with zeros, so it is text\n" in text


def test_tabs_codes_and_a_number_to_predict(tmp_path: Path) -> None:
    columns, recipe = made(tables.houses(tmp_path))
    assert types(columns) == {
        "id": "string",
        "zip code": "string",
        "size (m2)": "double",
        "built": "bigint",
        "sold": "date",
        "price": "double",
    }
    assert columns["sold"]["role"] == "time"
    assert recipe["source"]["options"] == {"sep": "\t"}
    assert recipe["model"]["task"] == "regression"
    assert {f["name"] for f in recipe["features"]} == {"zip_code", "size_m2", "built", "sold"}


def test_numbers_and_days_as_an_office_writes_them(tmp_path: Path) -> None:
    columns, recipe = made(tables.flats(tmp_path))
    assert types(columns) == {
        "Haus-Nr": "bigint",
        "PLZ": "string",
        "Wohnfläche": "double",
        "Verkauft am": "date",
        "Balkon": "boolean",
        "Preis": "double",
    }
    options = recipe["source"]["options"]
    assert (options["sep"], options["decimal"], options["thousands"]) == (";", ",", ".")
    assert options["dateFormat"] == ["dd.MM.yyyy"]
    assert "ja" in options["trueValues"]
    assert options["nullValues"] == ["n/a"]
    assert recipe["model"]["task"] == "regression"


def test_json_lines(tmp_path: Path) -> None:
    columns, recipe = made(tables.clicks(tmp_path))
    assert types(columns) == {
        "event": "bigint",
        "at": "timestamp",
        "bid": "double",
        "device": "string",
        "clicked": "boolean",
    }
    assert recipe["source"]["format"] == "json"
    assert columns["clicked"]["role"] == "label"


def test_visits_with_times_and_thousands(tmp_path: Path) -> None:
    columns, recipe = made(tables.visits(tmp_path))
    assert types(columns) == {
        "visit": "string",
        "at": "timestamp",
        "basket": "double",
        "returning": "boolean",
        "page": "string",
        "remark": "string",
        "clicked": "boolean",
    }
    options = recipe["source"]["options"]
    assert options == {"thousands": ",", "timestampFormat": ["dd.MM.yyyy HH:mm"]}
    assert columns["remark"]["role"] == "ignore"
    assert recipe["model"]["task"] == "binary"


def test_units_marks_and_names_of_an_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns, recipe = made(tables.shop(tmp_path))
    assert types(columns) == {
        "Kunden Nr": "string",
        " Umsatz": "double",
        "Rabatt": "bigint",
        "Land": "string",
        "Bemerkung": "string",
        "Datum5": "date",
        "Datum6": "date",
        "Status": "string",
    }
    options = recipe["source"]["options"]
    assert options.pop("dateFormat") == ["dd.MM.yyyy"]
    assert sorted(options.pop("units")) == ["%", "€"]
    assert options == {"sep": ";", "decimal": ",", "thousands": "."}
    unused = [n for n, c in columns.items() if c.get("role") == "ignore"]
    assert unused == ["Land", "Bemerkung"]
    said = capsys.readouterr().out
    assert "Status: are 'Bleibt' and 'bleibt'; 'Geht ' and 'geht' the same?" in said
    columns, recipe = made(tables.loans(tmp_path), "--force")
    assert types(columns) == {
        "loan id": "bigint",
        "income": "double",
        "rate": "double",
        "opened": "date",
        "last call": "timestamp",
        "city": "string",
        "defaulted": "boolean",
    }
    options = recipe["source"]["options"]
    assert sorted(options.pop("units")) == ["$", "%"]
    assert options == {
        "encoding": "windows-1252",
        "nullValues": ["N/A"],
        "thousands": ",",
        "dateFormat": ["M/d/yyyy"],
    }
    assert columns["loan id"]["primaryKey"]  # the sum has none: a bad row


VALUES: list[tuple[str, list[str], str, tuple[Any, Any], str]] = [
    # comma, values, type, least and most, what it may be as well
    (";", ["1.234", "950", "12.345", "8"], "bigint", (8, 12345), ""),
    (";", ["245.000", "312.500", "198.000"], "bigint", (198000, 312500), "read with thousands"),
    (";", ["1,234", "9,501", "2,345"], "double", (1.234, 9.501), "read with decimals"),
    (";", ["0.512", "1.234", "2.345"], "double", (0.512, 2.345), ""),
    (",", ["1.234", "9.501", "2.345"], "double", (1.234, 9.501), "read with decimals"),
    (",", ["1,234", "950", "12,345"], "bigint", (950, 12345), ""),
    (";", ["1\u202f234,50", "999,25", "2\u202f000,00"], "double", (999.25, 2000.0), ""),
    (";", ["1’234.50", "999.25"], "double", (999.25, 1234.5), ""),
    (",", ["USD 12.50", "USD 3", "-USD 4.25"], "double", (-4.25, 12.5), ""),
    (",", ["12 kg", "3 kg", "7 kg"], "bigint", (3, 12), ""),
    (",", ["-5°", "3°", "12°"], "bigint", (-5, 12), ""),
    (",", ["INV12", "INV13", "INV14"], "string", (None, None), ""),
    (",", ["12b", "13b", "14b"], "string", (None, None), ""),
    (",", ["5 €", "$4", "3 €"], "string", (None, None), ""),  # two units
    (",", ["12345678901234567890", "12345678901234567899"], "string", (None, None), ""),
    (",", ["03/04/2026", "11/12/2025"], "date", (dt.date(2025, 12, 11), dt.date(2026, 4, 3)), "MM"),
    (",", ["03/04/2026", "11/25/2025"], "date", (dt.date(2025, 11, 25), dt.date(2026, 3, 4)), ""),
]


@pytest.mark.parametrize(("comma", "values", "physical", "ends", "doubt"), VALUES)
def test_what_values_are_taken_for(
    comma: str, values: list[str], physical: str, ends: tuple[Any, Any], doubt: str
) -> None:
    rows = pa.table({"v": values, "text": ["x"] * len(values)})
    found = facts("v", rows["v"], forms_of(rows, True, comma))
    assert (found.type, found.odd) == (physical, ())
    if ends[0] is not None:
        assert (found.least, found.most) == ends
    assert doubt in found.doubt
    assert bool(found.doubt) == bool(doubt)


def test_a_word_for_missing_that_is_a_class_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`none` among numbers is a missing one, but not if a label has it: its rows would be bad."""
    lines = ["id,n,garage,label"]
    lines += [
        f"{n},{n if n % 9 else 'none'},{'none' if n % 2 else 'two'},{'abc'[n % 3]}"
        for n in range(60)
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    columns, recipe = made(tmp_path / "t.csv", "--label", "garage")
    assert "nullValues" not in recipe["source"].get("options", {})
    assert columns["garage"]["validValues"] == ["none", "two"]
    assert columns["n"]["physicalType"] == "string"
    assert "n: none is a value of the key or the label too" in capsys.readouterr().out
    columns, recipe = made(tmp_path / "t.csv", "--force", "--label", "label")
    assert recipe["source"]["options"]["nullValues"] == ["none"]
    assert columns["n"]["physicalType"] == "bigint"


def test_rows_without_a_header_and_letters_that_come_late(tmp_path: Path) -> None:
    lines = [f"{n},{n / 7:.3f},{'ab'[n % 2]},{n % 2}" for n in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    columns, recipe = made(tmp_path / "t.csv")
    assert list(columns) == ["_c0", "_c1", "_c2", "_c3"]
    assert recipe["source"]["options"] == {"header": False}
    years = ["who,2023,2024,y", *(f"p{n},{n},{n * 3 % 7},{n % 2}" for n in range(40))]
    (tmp_path / "t.csv").write_text("\n".join(years))
    columns, _ = made(tmp_path / "t.csv", "--force")
    assert list(columns) == ["who", "2023", "2024", "y"]
    lines = ["id,name,x,y"]
    lines += [f"{n},{'Müller' if n > 70_000 else 'Meier'},{n % 7},{n % 2}" for n in range(70_100)]
    (tmp_path / "t.csv").write_text("\n".join(lines), "latin-1")  # beyond the first megabyte
    _, recipe = made(tmp_path / "t.csv", "--force")
    assert recipe["source"]["options"] == {"encoding": "windows-1252"}
    text = "\n".join(lines).encode().replace(b"M\xc3\xbcller", b"M\xfcller", 1)
    (tmp_path / "t.csv").write_bytes(text)  # one letter is broken, the others are UTF-8
    _, recipe = made(tmp_path / "t.csv", "--force")
    assert "options" not in recipe["source"]


def test_texts_are_read_by_their_words(tmp_path: Path) -> None:
    columns, recipe = made(tables.reviews(tmp_path), "--label", "stars")
    assert columns["nr"]["primaryKey"]
    (feature,) = recipe["features"]
    assert (feature["kind"], feature["column"], feature["length"]) == ("text", "review", 20)
    assert recipe["model"]["builder"] == "tfspark.models.text:bag"
    assert recipe["model"]["task"] == "multiclass"
    lines = ["about,code,note,y"]  # a text that is the key; names and codes are no texts
    lines += [f"this is number {n} of many,c{n} x,Ann Lee {n},{n % 2}" for n in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    _, recipe = made(tmp_path / "t.csv", "--force", "--key", "code")
    assert [f["kind"] for f in recipe["features"]] == ["text"]


def test_other_ways_to_write_text(tmp_path: Path) -> None:
    """The index of a frame without a name, an old encoding; a list that is the whole file."""
    lines = [
        ",Größe,y",
        *(f"{number},{'groß' if number % 3 else 'klein'},{number % 2}" for number in range(9)),
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines), "cp1252")
    columns, recipe = made(tmp_path / "t.csv")
    assert types(columns) == {"_c0": "bigint", "Größe": "string", "y": "bigint"}
    assert recipe["source"]["options"] == {"encoding": "windows-1252"}
    rows = [{"id": str(number), "x": number % 4, "y": number % 2 == 0} for number in range(9)]
    (tmp_path / "t.json").write_text(json.dumps(rows, indent=1))
    columns, _ = made(tmp_path / "t.json", "--force")
    assert types(columns) == {"id": "bigint", "x": "bigint", "y": "boolean"}


def test_names_that_mean_something_in_yaml(tmp_path: Path) -> None:
    """A table called no; a header with a line break, which would be a line of the recipe."""
    lines = ['id,"a\n  x: 1",yes,y']
    lines += [f"{n},{n}{n}-of-{n},{n % 3},{n % 2}" for n in range(20)]
    (tmp_path / "no.csv").write_text("\n".join(lines))
    columns, recipe = made(tmp_path / "no.csv")
    assert list(columns) == ["id", "a\n  x: 1", "yes", "y"]
    assert (recipe["name"], recipe["score"]["keep"]) == ("no", ["id"])
    assert columns["a\n  x: 1"]["role"] == "ignore"


def test_typed_tables(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "shop": ["a", "a", "b", "b"],
            "day": pa.array([dt.date(2026, 1, d) for d in (1, 2, 1, 2)]),
            "sold": pa.array([1, 2, 2, 40], pa.int32()),
            "place": pa.array([{"x": 1}] * 4),
            "tags": [["u"], [], None, ["v", "w"]],
            "kind": pa.array(["x", "y", "z", "x"]).dictionary_encode(),
        }
    )
    pq.write_table(rows, tmp_path / "sales.parquet")
    columns, recipe = made(tmp_path / "sales.parquet", "--label", "kind")
    assert [n for n, c in columns.items() if c.get("primaryKey")] == ["shop", "day"]
    assert types(columns) == {
        "shop": "string",
        "day": "date",
        "sold": "int",
        "tags": "array<string>",
        "kind": "string",
    }
    assert columns["kind"]["validValues"] == ["x", "y", "z"]
    assert recipe["model"]["task"] == "multiclass"
    assert "# place: left out" in (tmp_path / "out" / "contract.yaml").read_text("utf-8")
    write_deltalake(str(tmp_path / "delta"), rows.drop_columns(["place"]))
    columns, recipe = made(tmp_path / "delta", "--label", "sold", "--force", "--name", "a b")
    assert recipe["source"] == {"format": "delta", "path": str(tmp_path / "delta")}
    assert recipe["name"] == "a_b"


def test_values_that_are_not_of_the_type(tmp_path: Path) -> None:
    lines = ["id,amount,digits,words,y"]
    for number in range(200):
        amount = "about ten" if number == 7 else number / 4
        words = "NO" if number % 2 else "yes, 'quoted': #1"
        lines.append(f'{number},{amount},0.1234567890123456{number},"{words}",{number % 2}')
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n,,,,\n1,2\n")
    columns, _ = made(tmp_path / "t.csv", "--label", "y", "--key", "id")
    assert columns["amount"]["physicalType"] == "double"
    assert columns["digits"]["physicalType"].startswith("decimal(38,")
    text = (tmp_path / "out" / "contract.yaml").read_text("utf-8")
    assert "not double: about ten" in text


@pytest.mark.parametrize(
    ("name", "content", "more", "said"),
    [
        ("t.csv", "", [], "not even a header line"),
        ("t.csv", "a,b\n", [], "no row below it"),
        ("t.csv", "Sales of May\n\nid,x,y\n1,2,0\n2,3,1\n", [], "'Sales of May'; is it no header"),
        ("t.csv", "sep=;\nid;x;y\n1;2;0\n2;3;1\n3;3;1\n", [], "is it no header"),
        ("t.csv", "a,b\n1,2\n", ["--label", "c"], "there is no column c; there are: a, b"),
        ("t.csv", "a,b\n1,2\n1,2\n", ["--label", "b"], "one value only"),
        ("t.csv", "y,b\n1,2\n0,2\n1,2\n", ["--label", "y"], "--key"),
        ("t.csv", "a,b\n1,x\n2,x\n", [], "--label"),
        ("t.csv", "id,y\n1,0\n2,1\n3,1\n", [], "no column is one that a model can use"),
        ("t.json", "[1]\n", [], "no line with a JSON object"),
        ("t.xlsx", "x", [], "known endings are .csv"),
        ("t.parquet", "x", [], "cannot be read as Parquet"),
        ("t.png", "x", [], "one image is no table"),
        ("t.csv", "a,y\n1,0\n2,1\n", ["--date", "20261120"], "must be a date, YYYY-MM-DD"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str,
    more: list[str],
    said: str,
) -> None:
    (tmp_path / name).write_text(content)
    assert init(tmp_path / name, tmp_path / "out", *more) in (2, 3, 6)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_infer_prints_what_init_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tables.churn(tmp_path)
    assert init(table, tmp_path / "out") == 0
    capsys.readouterr()
    assert main("contract", ["infer", str(table)]) == 0
    assert capsys.readouterr().out == (tmp_path / "out" / "contract.yaml").read_text("utf-8")
    assert main("contract", ["infer", str(table), "--label", "nothing"]) == 2
    assert not (tmp_path / "churn").exists()


def test_files_that_are_there_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tables.clicks(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "recipe.yaml").write_text("mine\n")
    assert init(table, tmp_path / "out") == 2
    assert "--force replaces it" in capsys.readouterr().err
    assert (tmp_path / "out" / "recipe.yaml").read_text() == "mine\n"
    assert init(tmp_path / "nothing.csv", tmp_path / "new") == 75


def test_a_folder_and_a_zip_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {f"{label}/{n}.png": pictures.encoded(n, "PNG") for label in "ab" for n in range(6)}
    odd = {"a/text.jpg": b"hello", "top.png": files["a/0.png"], "labels.csv": b"x,y\n1,2\n"}
    where = pictures.folder(tmp_path / "pets", (files | odd).items())
    columns, recipe = made(where)
    assert types(columns) == {"path": "string", "label": "string", "image": "binary"}
    assert columns["label"]["validValues"] == ["a", "b"]
    assert recipe["name"] == "pets"
    assert recipe["source"] == {"format": "images", "path": str(where)}
    assert recipe["features"][0]["size"] == [12, 16]
    assert recipe["model"]["task"] == "binary"
    said = capsys.readouterr().out
    assert "14 (1 of 14 bad)" in said
    text = (tmp_path / "out" / "contract.yaml").read_text("utf-8")
    assert "label: the folder; 2 different: a (7), b (6); 1 images lie in no folder" in text
    assert "height x width 12 x 16 (13)" in text
    assert "bad rows: one is no image (JPEG, PNG, GIF, BMP); it begins with hello" in text
    assert "maxShare: 0.29" in text
    large = {f"{label}/1.jpg": pictures.encoded(1, side=300) for label in "xyz"}
    packed = pictures.zipped(tmp_path / "large.zip", large.items())
    _, recipe = made(packed, "--force")
    assert recipe["features"][0]["size"] == [128, 128]
    assert recipe["model"]["task"] == "multiclass"
    alone = pictures.folder(tmp_path / "alone", [("x/1.jpg", large["x/1.jpg"])])
    for table, more, why in [
        (alone, [], "the images lie in 1 folders"),
        (packed, ["--label", "size"], "of images the label is the folder"),
    ]:
        assert init(table, tmp_path / "no", *more) == 2
        assert why in capsys.readouterr().err
        assert not (tmp_path / "no").exists()
