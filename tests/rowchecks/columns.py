"""Random columns: a rule of a contract, and raw values that keep it, break it, or are nonsense."""

from __future__ import annotations

import base64
import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

Column = tuple[dict[str, Any], pa.Array]
ROWS = 12

INTEGERS = {"tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64()}
ARROW = {
    **INTEGERS,
    "boolean": pa.bool_(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "decimal(10,2)": pa.decimal128(10, 2),
    "decimal(5,4)": pa.decimal128(5, 4),
    "decimal(38,10)": pa.decimal128(38, 10),
    "array<int>": pa.list_(pa.int32()),
    "array<double>": pa.list_(pa.float64()),
    "array<string>": pa.list_(pa.string()),
    "array<array<bigint>>": pa.list_(pa.list_(pa.int64())),
}
EDGES = [0, 1, -1, *(s * 2**b - d for b in (7, 8, 15, 31, 53) for s in (1, -1) for d in (0, 1))]
# Of few digits: Java before 19 writes some floats with more digits than they need.
FLOATS = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda n: n / 64),
    st.sampled_from(
        [0.0, -0.0, 0.1, 1e-5, 1e10, 1.5e300, float("nan"), float("inf"), -float("inf")]
    ),
    st.sampled_from(EDGES).map(float),
)
TEXT = st.text(st.sampled_from("aé😀\u2028 \t\n\"\\'/\x01x1"), max_size=5)
WHOLE = st.one_of(st.integers(-200, 200), st.sampled_from(EDGES))
DAYS = st.dates()
TIMES = st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 12, 31))


def values(kind: str) -> st.SearchStrategy[Any]:
    """Values of a type, for Arrow."""
    if kind in INTEGERS:
        bits = INTEGERS[kind].bit_width - 1
        return WHOLE.filter(lambda n: -(2**bits) <= n < 2**bits)
    if kind.startswith("decimal"):
        about = ARROW[kind]
        most = 10 ** (about.precision - about.scale) - 1
        return st.decimals(-most, most, allow_nan=False, places=about.scale).map(
            lambda n: n + 0  # no -0
        )
    if kind.startswith("array"):
        return st.lists(st.none() | values(kind[len("array<") : -1]), max_size=3)
    known: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "float": FLOATS.filter(lambda v: not 2**20 < abs(v) < float("inf")).map(
            lambda v: 0.5 if v in (0.1, 1e-5) else v
        ),
        "double": FLOATS,
        "string": TEXT,
        "binary": st.binary(max_size=4),
        "date": DAYS,
        "timestamp": TIMES.map(lambda t: t.replace(tzinfo=dt.UTC)),
        "timestamp_ntz": TIMES,
    }
    return known[kind]


def _times(time: dt.datetime, between: str, cut: int, zone: str) -> str:
    return time.isoformat(between)[:cut] + zone


ZONES = ["", "", "Z", "+01:00", "-0930"[:3], " UTC", "GMT", "CST", "+25:00", "+1"]
FORMS: dict[str, st.SearchStrategy[str]] = {
    "whole": WHOLE.map(str) | st.integers(-(2**70), 2**70).map(str),
    "float": FLOATS.map(str) | st.floats().map(str) | st.floats(width=32).map("{:.9g}".format),
    "decimal": st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12
    ).map(str)
    | st.integers(-(10**9), 10**9).map(lambda n: str(Decimal(n).scaleb(-4))),
    "boolean": st.sampled_from(
        ["t", "TRUE", "Yes", "1", "f", "false", "N", "0", "on", "off", "null"]
    ),
    "date": DAYS.map(str) | st.sampled_from(["2026-02-29", "2026-13-01", "12026-01-01", "2026-11"]),
    "time": st.builds(
        _times,
        TIMES,
        st.sampled_from("T _"),
        st.sampled_from([10, 13, 16, 19, 23, 26]),
        st.sampled_from(ZONES),
    ),
    "base64": st.binary(max_size=5).map(lambda b: base64.b64encode(b).decode()),
    "list": st.lists(st.none() | WHOLE, max_size=3).map(json.dumps)
    | st.lists(st.lists(WHOLE, max_size=2), max_size=2).map(json.dumps)
    | st.lists(TEXT, max_size=2).map(json.dumps),
    "text": TEXT,
    "nonsense": st.text(st.sampled_from('0123456789+-.eE :TZ/[]",naif\t=_dx٣'), max_size=7),
}
OF = {
    **dict.fromkeys(INTEGERS, "whole"),
    **dict.fromkeys(("float", "double"), "float"),
    **dict.fromkeys((k for k in ARROW if k.startswith("decimal")), "decimal"),
    **dict.fromkeys((k for k in ARROW if k.startswith("array")), "list"),
    **{"date": "date", "timestamp": "time", "boolean": "boolean", "binary": "base64"},
    "string": "text",
}


def texts(kind: str) -> st.SearchStrategy[str]:
    """What may stand in a file where a type is expected."""
    own = FORMS[OF[kind]]
    return st.one_of(own, own, own.map(lambda t: f" {t}  "), *FORMS.values(), st.just(""))


TYPED = [
    *((kind, kind) for kind in ARROW if kind != "timestamp_ntz"),
    *((a, b) for a in INTEGERS for b in INTEGERS),
    *((kind, "string") for kind in ARROW if not kind.startswith(("array", "binary"))),
    *((kind, "decimal(10,2)") for kind in (*INTEGERS, "decimal(5,4)", "decimal(38,10)")),
    *(
        (kind, other)
        for kind in ("float", "double", "decimal(10,2)", "decimal(38,10)")
        for other in INTEGERS
    ),
    *((kind, "double") for kind in (*INTEGERS, "float", "decimal(10,2)", "decimal(5,4)")),
    *(("tinyint", "float"), ("smallint", "float"), ("decimal(10,2)", "decimal(5,4)")),
    *((a, b) for a in ("date", "timestamp", "timestamp_ntz") for b in ("date", "timestamp")),
    *(("array<int>", "array<string>"), ("array<array<bigint>>", "array<array<bigint>>")),
]


def bounds(kind: str) -> st.SearchStrategy[float]:
    """Numbers of a type."""
    if kind in INTEGERS:
        return st.integers(-120, 120)
    if kind in ("float", "double"):
        return st.integers(-150, 150) | st.sampled_from([0.5, -2.25, 1e10, 0.1])
    return st.sampled_from([-1, 0, 1.5, 0.25, 0.1])


WORDS = ["a", "x1", "é😀", "1"]


@st.composite
def rules(draw: Any, kind: str) -> dict[str, Any]:
    about: dict[str, Any] = {"physicalType": kind, "required": draw(st.booleans())}
    options: dict[str, Any] = {}
    if kind in INTEGERS or kind in ("float", "double") or kind.startswith("decimal"):
        found = draw(st.lists(bounds(kind), min_size=2, max_size=2, unique=True))
        lower, upper = sorted(found)
        exclusive = draw(st.booleans())
        options["exclusiveMinimum" if exclusive else "minimum"] = draw(
            st.sampled_from([None, lower])
        )
        options["maximum"] = draw(st.sampled_from([None, upper]))
        if kind in INTEGERS:
            options["multipleOf"] = draw(st.none() | st.integers(1, 3))
    if kind == "string":
        options["minLength"] = draw(st.none() | st.integers(0, 2))
        options["maxLength"] = draw(st.none() | st.integers(2, 4))
        options["pattern"] = draw(
            st.none() | st.sampled_from([".*", "[a-zé]*", r"\s?x\d+|a", "a.?"])
        )
        if options["minLength"] is None:
            about["validValues"] = draw(st.none() | st.lists(st.sampled_from(WORDS), min_size=1))
    about["logicalTypeOptions"] = {k: v for k, v in options.items() if v is not None}
    return {k: v for k, v in about.items() if v is not None}


@st.composite
def columns(draw: Any) -> Column:
    """The words of a contract, and the raw values of a table."""
    if draw(st.booleans()):
        kind = draw(st.sampled_from(sorted(OF)))
        found = draw(st.lists(st.none() | texts(kind), min_size=ROWS, max_size=ROWS))
        return draw(rules(kind)), pa.array(found, pa.string())
    source, kind = draw(st.sampled_from(TYPED))
    found = draw(st.lists(st.none() | values(source), min_size=ROWS, max_size=ROWS))
    return draw(rules(kind)), pa.array(found, ARROW[source])
