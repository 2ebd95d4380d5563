"""`tfspark show`: tables, records, images, models, runs, days, contracts, as text and as a page."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from deltalake import write_deltalake

from tests import saved_models as models
from tests.images import pictures
from tests.page.nights import EVIL
from tests.page.test_page import Read
from tfspark.cli import main
from tfspark.look import run
from tfspark.look.view import Box, Plot, Section, View
from tfspark.starter import look
from tfspark.tfrecord.codec.write import write_file


def shown(thing: object, *more: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main("show", [str(thing), *more]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def page(thing: object, *more: str, capsys: pytest.CaptureFixture[str], to: Path) -> str:
    shown(thing, "--html", str(to), *more, capsys=capsys)
    return checked(to.read_text("utf-8"))


def checked(text: str) -> str:
    """Nothing is run and nothing is asked for."""
    read = Read(text)
    assert not {"script", "iframe", "link", "object", "form", "base"} & {t for t, _ in read.tags}
    for tag, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
    assert "http" not in text.replace("http-equiv", "")
    return read.text


def rows(count: int = 400) -> pa.Table:
    return pa.table(
        {
            "id": range(count),
            "name": [EVIL] * count,
            "day": [dt.date(2026, 1, 1) + dt.timedelta(n % 90) for n in range(count)],
            "paid": [n / 7 if n % 9 else None for n in range(count)],
            "tags": [["a", "b"]] * count,
        }
    )


def test_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "t.parquet"
    pq.write_table(rows(), table)
    text = shown(table, "--rows", "2", capsys=capsys)
    assert re.search(r"rows +400\n", text)
    assert re.search(r"paid +double +11% ", text)
    assert re.search(r"day +date .* 2026-01-01 to 2026-03-31", text)
    assert re.search(r"  id +[▁-█ ]{20}  0 to ", text)
    assert text.count("[a, b]") == 2
    said = page(table, capsys=capsys, to=tmp_path / "t.html")
    assert EVIL in said
    contract = tmp_path / "c.yaml"
    contract.write_text(
        "kind: DataContract\nid: t\nversion: 1.0.0\nschema:\n- name: t\n  properties:\n"
        "  - {name: id, physicalType: bigint, primaryKey: true, classification: public}\n"
        "  - {name: name, physicalType: string, classification: restricted}\n"
        "  - {name: paid, physicalType: double}\n"
    )
    for more in ((), ("--html", str(tmp_path / "t.html"))):
        shown(table, "--contract", str(contract), *more, capsys=capsys)
    said = checked((tmp_path / "t.html").read_text("utf-8"))
    assert EVIL not in said
    assert "(not public)" in said
    assert "0.142857" not in said


def test_a_large_table_is_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = pa.table({"x": ["y" * 1000] * 50_000})
    pq.write_table(wide, tmp_path / "t.parquet", row_group_size=5_000)
    monkeypatch.setattr(look, "_MOST_BYTES", 4 << 20)
    text = shown(tmp_path / "t.parquet", "--rows", "0", capsys=capsys)
    assert re.search(r"rows +50,000\n", text)  # the footer's
    assert int(re.search(r"the first ([\d,]+) rows", text)[1].replace(",", "")) < 20_000  # type: ignore[index]


def test_records_and_a_scored_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = rows(20).select(["id", "paid"])
    write_file(
        str(tmp_path / "a.tfrecord"), some.to_batches(), some.schema, narrow={"paid": "float"}
    )
    text = shown(tmp_path / "a.tfrecord", capsys=capsys)
    assert re.search(r"kind +TFRecord\n", text)
    assert re.search(r"paid +float ", text)
    scored = rows(30).select(["id", "day"])
    scored = scored.append_column("probability", pa.array([n / 30 for n in range(30)]))
    scored = scored.append_column("model_name", pa.array(["m"] * 30))
    place = tmp_path / "warehouse" / "scored" / "t"
    write_deltalake(str(place), scored, partition_by=["day"])
    text = shown(place, "--date", "2026-01-07", capsys=capsys)
    assert re.search(r"day +2026-01-07\n +rows +1\n", text)
    assert re.search(r"model name +m\n", text)
    assert main("show", [str(place), "--date", "2027-01-07"]) == 75
    assert "has no day 2027-01-07" in capsys.readouterr().err
    assert re.search(r"rows +30\n", shown(place, capsys=capsys))


def test_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {**pictures.good(30), "airplane/text.jpg": b"hello"}
    place = pictures.folder(tmp_path / "pets", files.items())
    text = shown(place, capsys=capsys)
    assert "images          31\n" in text
    assert "31, of which 1 cannot be used" in text
    assert "airplane/text.jpg" in text
    page(place, capsys=capsys, to=tmp_path / "i.html")
    assert (tmp_path / "i.html").read_text().count('src="data:image/') == 24


def test_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def serve(age, country):  # type: ignore[no-untyped-def]
        with tf.name_scope("net/dense_1"):
            hidden = tf.nn.relu(age * 2.0)
        with tf.name_scope("net/look"):
            there = tf.cast(country == "DE", tf.float32)
        with tf.name_scope("net/out"):
            return {"score": tf.sigmoid(hidden + there)}

    inputs = [
        tf.TensorSpec([None], tf.float32, name="age"),
        tf.TensorSpec([None], tf.string, name="country"),
    ]
    models.save(tmp_path / "m" / "3", inputs, serve)
    text = shown(tmp_path / "m", capsys=capsys)
    assert re.search(r"takes +country +string", text)
    assert re.search(r"gives +score +float32", text)
    assert "may be opened  yes; it has no manifest" in text
    assert re.search(
        r"age \(input\) \| country \(input\)\n.*dense \(.*Relu.*look.*\n  out \(.*Sigmoid", text
    )
    said = page(tmp_path / "m", capsys=capsys, to=tmp_path / "m.html")
    assert "dense" in said
    svg = (tmp_path / "m.html").read_text()
    assert svg.count("<rect") == 5
    assert svg.count('class="dash"') == 4


def test_contracts_recipes_and_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Survived" in shown("schemas/passengers.yaml", capsys=capsys)
    assert "tfspark.models.text:bag" in shown("conf/reviews.yaml", capsys=capsys)
    page("schemas/passengers.yaml", capsys=capsys, to=tmp_path / "c.html")
    monkeypatch.chdir(tmp_path)
    assert main("show", ["nothing"]) == 75
    assert "nothing: no such file or folder" in capsys.readouterr().err
    assert main("show", ["c.html", "--rows", "-1"]) == 2
    assert main("show", ["c.html"]) == 2  # no table that is known
    assert main("show", ["c.html", "--png", "x.png"]) == 2


def test_a_run(
    tmp_path: Path,
    empty_store: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tfspark.registry.tracking import Store

    uri = f"sqlite:///{empty_store}"
    store = Store(uri, "net")
    number = store.start_run("look", str(tmp_path / "files"), "key", {})
    curves = {"loss": [3.0, 2.0, float("nan")], "val_loss": [3.0, 2.5, 2.6], "auc": [0.5, 0.7, 0.9]}
    store.log_curves(number, curves)
    store.log_metrics(number, {"test_auc": 0.9})
    store.end_run(number)
    monkeypatch.setenv("TFSPARK_REGISTRY__TRACKING_URI", uri)
    text = shown(number, capsys=capsys)
    assert re.search(r"val_loss +3 +2.5 +2.6\n", text)
    assert re.search(r"test_auc +0.9\n", text)
    picture, html = tmp_path / "c.png", tmp_path / "r.html"
    shown(number, "--png", str(picture), "--html", str(html), capsys=capsys)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "validation; dashed: training" in checked(html.read_text())
    assert main("show", ["0" * 32]) == 2
    assert "has no such run" in capsys.readouterr().err


@pytest.mark.usefixtures("passengers")
def test_a_dataset(passengers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = passengers / "datasets" / "passengers"
    text = shown(place, "--rows", "3", capsys=capsys)
    assert re.search(r"rows +train \d+, validation \d+, test \d+\n", text)
    assert re.search(r"Sex +string +0% +2 +male \(\d+\), female", text)
    assert re.search(r"Age +double +\d+%", text)
    assert "First rows of the training split" in text
    page(place, capsys=capsys, to=tmp_path / "d.html")
    model = next((passengers / "models").rglob("saved_model.pb")).parent
    text = shown(model, capsys=capsys)
    assert "may be opened  yes\n" in text
    assert "Layers" in text


def test_what_is_long_or_secret_is_cut_and_hidden() -> None:
    lines: Sequence[str] = ["a" * 999]
    sections = [
        Section("x" * 999, "password=hunter2", [("n" * 99, "v" * 9999)], lines, [["b" * 999]]),
        Section("none", plots=[Plot("empty", [("a", 0.0)])]),
        Section("deep", boxes=[Box("a", "b", (0, 0), [(1, 0)]), Box("c", "d", (1, 0))]),
    ]
    made = View(f"{EVIL} token=hunter2", "", sections)
    assert max(map(len, made.text().splitlines())) < 700
    assert "hunter2" not in made.text() + made.page()
    checked(made.page())
    assert run._lines({"loss": [(1, float("nan")), (2, float("nan"))]}) == []
