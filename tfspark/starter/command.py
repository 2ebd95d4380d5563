"""`tfspark init`: look at a table, and write a contract and a recipe for it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tfspark import storage
from tfspark.config.day import as_day
from tfspark.config.textoptions import TextForms
from tfspark.console import print_summary
from tfspark.contracts import load_contract, parse_contract
from tfspark.errors import ConfigError
from tfspark.flags import Parser
from tfspark.images.table import LABEL, PATH
from tfspark.starter.facts import Facts, facts
from tfspark.starter.forms import forms_of, options_of
from tfspark.starter.guess import Guess, guess
from tfspark.starter.images import contract_of_images, holds_images, write_images
from tfspark.starter.look import MOST, Looked, look
from tfspark.starter.write import contract_text, recipe_text

FILES = ("contract.yaml", "recipe.yaml")


def main(argv: Sequence[str]) -> int:
    """See --help."""
    parser = Parser(
        prog="tfspark init",
        description="Look at a table (CSV, JSON lines, Parquet, Delta) or at images (a folder or a "
        "zip, one folder for each label) and write DIR/contract.yaml and DIR/recipe.yaml, with "
        "which prepare, train and score run as they are.",
    )
    parser.add_argument("table", metavar="TABLE", help="a file, or a folder of files of one kind")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the two files go")
    parser.add_argument("--label", metavar="COLUMN", help="what is to be predicted")
    parser.add_argument("--key", metavar="COLUMNS", help="what tells rows apart: id or shop,day")
    parser.add_argument("--name", help="of the dataset and the model; default: the table's")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="the recipe's day; default: today")
    parser.add_argument("--rows", type=int, default=MOST, help="rows to look at (%(default)s)")
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    given = parser.parse(argv)
    key = _keys(given.key)
    if given.rows < 1:
        raise ConfigError("--rows: a number above 0")
    paths = [Path(given.out, file) for file in FILES]
    for path in paths:
        if path.exists() and not given.force:
            raise ConfigError(
                f"{path}: is there already; --force replaces it, or take another --out"
            )
    day = as_day(given.date) if given.date else dt.datetime.now(dt.UTC).date()
    name = _name(given.name, given.table)
    if holds_images(given.table):
        _only_images(given.table, given.label, key)
        _done(write_images(given.table, name, (paths[0], paths[1]), day), *paths)
        return 0
    looked, columns, found = _seen(given.table, given.label, key, given.rows)
    contract, recipe = paths
    Path(given.out).mkdir(parents=True, exist_ok=True)
    said = contract_text(name, given.table, looked, columns, found)
    storage.write_bytes(str(contract), said.encode())
    load_contract(str(contract))
    said = recipe_text(name, given.table, str(contract), looked, columns, found, day)
    storage.write_bytes(str(recipe), said.encode())
    rows = looked.rows.num_rows
    _done(
        {
            "table": f"{looked.format}, {rows:,} rows" + ("" if looked.whole else " looked at"),
            "key": ", ".join(found.key) + (f" ({found.doubled} doubled)" if found.doubled else ""),
            "label": f"{found.label}, {found.task}"
            + ("" if given.label else " (guessed: --label)"),
            "look_at": "; ".join(f"{c.name}: {c.doubt}" for c in columns if c.doubt) or None,
            "not_used": ", ".join(c for c, (role, _) in found.roles.items() if role == "ignore")
            or "none",
        },
        *paths,
    )
    return 0


def inferred(table: str, name: str | None, label: str | None, key: str | None, most: int) -> str:
    """The contract that would be written for a table."""
    named = _name(name, table)
    if holds_images(table):
        _only_images(table, label, _keys(key))
        return contract_of_images(table, named)
    looked, columns, found = _seen(table, label, _keys(key), most)
    said = contract_text(named, table, looked, columns, found)
    parse_contract(said.encode(), table)
    return said


def _seen(
    table: str, label: str | None, key: Sequence[str], most: int
) -> tuple[Looked, list[Facts], Guess]:
    """What is in a table, and what it means."""
    looked = look(table, most)
    if not looked.text:
        columns = _columns(looked, TextForms())
        return looked, columns, guess(table, columns, label, key)
    forms = forms_of(looked.rows, looked.format == "csv", looked.comma)
    columns = _columns(looked, forms)
    missing = {word for column in columns for word in column.missing}
    if missing:
        # Words for null hold for all columns: not those that a label or a key has as a value.
        found = guess(table, columns, label, key)
        values = [
            c.values for c in columns if c.name in (*found.key, found.label) and not c.missing
        ]
        texts = [array for array in values if pa.types.is_string(array.type)]
        spared = {word for word in missing for array in texts if word in array.to_pylist()}
        spared |= missing & set(looked.rows.column_names)
        columns = _columns(looked, forms, missing - spared, spared)
    looked.options.update(options_of(forms, sorted(missing - spared if missing else ())))
    return looked, columns, guess(table, columns, label, key)


def _columns(
    looked: Looked, forms: TextForms, nulls: Collection[str] = (), spared: Collection[str] = ()
) -> list[Facts]:
    names = looked.rows.column_names
    return [facts(name, looked.rows[name], forms, nulls, spared) for name in names]


def _only_images(table: str, label: str | None, key: Sequence[str]) -> None:
    if label not in (None, LABEL) or list(key) not in ([], [PATH]):
        raise ConfigError(
            f"{table}: of images the label is the folder and the key is the path; leave "
            "out --label and --key"
        )


def _keys(given: str | None) -> list[str]:
    return [part.strip() for part in (given or "").split(",") if part.strip()]


def _done(said: dict[str, Any], contract: Path, recipe: Path) -> None:
    print_summary("init: done", {**said, "contract": str(contract), "recipe": str(recipe)})
    print("\nNext:")
    for job in ("prepare", "train", "score"):
        print(f"  tfspark {job} --config {recipe}")


def _name(given: str | None, table: str) -> str:
    text = given or Path(table.rstrip("/")).name.split(".")[0]
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "table"
    return name if name[0].isalpha() else f"t_{name}"
