"""What is asked of a scored table, and how it is said in SQL.

Names (tables, columns) are quoted and values are bound, so neither can become SQL.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tfspark.errors import ConfigError
from tfspark.wording import near

VIEW = "scored"
"""The table's name in a `--sql` query."""
_TEST = re.compile(r"(.+?)(>=|<=|!=|=|>|<)(.*)", re.S)


@dataclass(frozen=True)
class Compared:
    """A column compared with a value, which is read as the column's type: `price >= 2.5`."""

    column: str
    sign: str
    value: str

    @classmethod
    def read(cls, text: str) -> Compared:
        """
        Raises:
            ConfigError: it is no comparison.
        """
        found = _TEST.fullmatch(text)
        if found is None:
            raise ConfigError(f"--where {text}: is not COLUMN=VALUE (or !=, <, <=, >, >=)")
        column, sign, value = found.groups()
        return cls(column.rstrip(), sign, value.lstrip() if column.endswith(" ") else value)

    @property
    def said(self) -> str:
        return f"--where {self.column}{self.sign}{self.value}"


@dataclass(frozen=True)
class Question:
    """What is asked of a table.

    Attributes:
        columns: all columns where empty.
        day: only this day.
        where: column → value it must equal.
        tests: further comparisons; all must hold.
        order_by: column names; a leading `-` sorts downwards.
        sql: a whole query over the view `scored`, instead of all of the above.
    """

    columns: list[str] = field(default_factory=list)
    day: dt.date | None = None
    where: dict[str, str] = field(default_factory=dict)
    order_by: list[str] = field(default_factory=list)
    limit: int | None = None
    sql: str | None = None
    tests: list[Compared] = field(default_factory=list)

    @property
    def compared(self) -> list[Compared]:
        return [
            *(Compared(column, "=", value) for column, value in self.where.items()),
            *self.tests,
        ]

    def check(self, there: list[str]) -> None:
        """Refuse names that are no columns of the table.

        Raises:
            ConfigError: a column that is not in the table, or `sql` beside other parts.
        """
        orders = [name.removeprefix("-") for name in self.order_by]
        tested = [test.column for test in self.compared]
        named = [*self.columns, *tested, *orders, *(["day"] if self.day else [])]
        if self.sql is not None and named:
            raise ConfigError("--sql is a whole query: give it without --columns, --day, ...")
        for name in named:
            if name not in there:
                raise ConfigError(
                    f"no column {name!r} in the table{near(name, there)}; there are: "
                    + ", ".join(there)
                )

    def to_sql(self, types: Mapping[str, str] | None = None) -> tuple[str, list[str]]:
        """The query in DuckDB's SQL with `?` for values, and the values.

        Args:
            types: of columns that are compared; default: text.
        """
        limit = "" if self.limit is None else f" LIMIT {self.limit:d}"
        if self.sql is not None:
            return f"SELECT * FROM ({self.sql}){limit}", []  # noqa: S608 (the user's own query)
        parts = [f"SELECT {', '.join(quoted(c) for c in self.columns) or '*'} FROM {VIEW}"]  # noqa: S608 (names are quoted)
        tests, values = [], []
        for test in self.compared:
            kind = (types or {}).get(test.column)
            column = quoted(test.column)
            tests.append(
                f"{column} {test.sign} CAST(? AS {kind})"
                if kind
                else f"CAST({column} AS STRING) {test.sign} ?"
            )
            values.append(test.value)
        if self.day:
            # Compared as a date, so that only the day's files are read.
            tests.append("day = CAST(? AS DATE)")
            values.append(self.day.isoformat())
        if tests:
            parts.append("WHERE " + " AND ".join(tests))
        if self.order_by:
            orders = [
                quoted(c.removeprefix("-")) + " DESC" * c.startswith("-") for c in self.order_by
            ]
            parts.append("ORDER BY " + ", ".join(orders))
        return " ".join(parts) + limit, values


def quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
