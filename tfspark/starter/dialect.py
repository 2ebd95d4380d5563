"""How a text file is written: its encoding, what is between its fields, whether it has a header."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tfspark.csvfiles.read import Form, read_csv
from tfspark.textblocks import UTF8, opened

_COMMAS = ",;\t|"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MOST = 64 << 20
"""Bytes that tell the encoding."""
_NEARLY = 0.8
_FEW = 200
"""Rows that tell whether there is a header."""
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")


def comma_of(file: str, encoding: str) -> str:
    """What stands between the fields: what cuts the first records into most, and equally many.

    A few of them, such as a title or a sum, may be others.
    """
    counts = {}
    for comma in _COMMAS:
        with text_of(file, encoding) as lines:
            records = csv.reader(lines, delimiter=comma)
            first = [len(record) for record, _ in zip(records, range(20), strict=False) if record]
        most = max(set(first), key=first.count, default=0)
        counts[comma] = most if first.count(most) >= _NEARLY * len(first) else 0
    best = max(counts, key=lambda comma: counts[comma])
    return best if counts[best] > 1 else ","


def is_row(header: list[str], file: str, form: Form) -> bool:
    """Whether the first record is a row as the others are: a number in each column of numbers.

    Whole numbers in order, such as years, are names, unless a text beside them is a value of its
    column.
    """
    names = [f"{n}" for n in range(len(header))]
    batch = next((b for b in read_csv(file, names, form) if b.num_rows), None)
    if batch is None:
        return False
    rows = [batch.column(n).drop_null().slice(0, _FEW).to_pylist() for n in range(len(header))]
    both = list(zip(header, rows, strict=True))
    numbers = [name for name, row in both if row and _numbers(row)]
    if not numbers or not _numbers(numbers):
        return False
    texts = [name in row for name, row in both if name and not _numbers([name])]
    found = [float(number.replace(",", ".")) for number in numbers]
    names_of_years = all(n.is_integer() for n in found) and found == sorted(set(found))
    return any(texts) or not (names_of_years and (len(found) > 1 or found[0] in range(1900, 2101)))


def _numbers(texts: list[str]) -> bool:
    return all(_NUMBER.fullmatch(text.strip()) for text in texts)


def encoding_of(files: Sequence[str]) -> str:
    """UTF-8 where most letters beyond ASCII are; else what other programs on Windows write."""
    decoder, read = codecs.getincrementaldecoder("utf-8")("replace"), 0
    right = wrong = 0
    for number, file in enumerate(files):
        with opened(file, UTF8) as stream:
            while read < _MOST and (piece := stream.read(1 << 20)):
                if not number and not read and piece.startswith(_UTF16):
                    return "utf-16"
                read += len(piece)
                if not piece.isascii() or decoder.getstate()[0]:
                    text = decoder.decode(piece)
                    odd = text.count("\ufffd")
                    wrong += odd
                    right += len(text) - len(text.encode("ascii", "ignore")) - odd
        wrong += len(decoder.decode(b"", final=True))
        decoder.reset()
    return "windows-1252" if wrong > right else "utf-8"


@contextmanager
def text_of(file: str, encoding: str = "utf-8") -> Iterator[io.TextIOWrapper]:
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    with opened(file, UTF8) as stream:
        yield io.TextIOWrapper(stream, encoding, "replace", newline="")
