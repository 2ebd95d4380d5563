"""`tfspark contract FILE | infer TABLE | diff OLD NEW`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfspark import storage
from tfspark.console import printable
from tfspark.contracts import load_contract
from tfspark.contracts.compare import changes
from tfspark.contracts.docs import main as check
from tfspark.dataset import CONTRACT
from tfspark.errors import ConfigError, ContractViolation
from tfspark.flags import Parser
from tfspark.starter.command import inferred
from tfspark.starter.look import MOST

_COMMANDS = "check", "infer", "diff"


def main(argv: Sequence[str]) -> int:
    """See --help."""
    command = argv[0] if argv else ""
    if command == "infer":
        return _infer(argv[1:])
    if command == "diff":
        return _diff(argv[1:])
    return check(argv[1:] if command == "check" else argv)


def _infer(argv: Sequence[str]) -> int:
    parser = Parser(
        prog="tfspark contract infer",
        description="Print the contract that tfspark init would write for a table.",
    )
    parser.add_argument("table", metavar="TABLE", help="a file, or a folder of files of one kind")
    parser.add_argument("--label", metavar="COLUMN", help="what is to be predicted")
    parser.add_argument("--key", metavar="COLUMNS", help="what tells rows apart: id or shop,day")
    parser.add_argument("--name", help="of the table; default: the file's")
    parser.add_argument("--rows", type=int, default=MOST, help="rows to look at (%(default)s)")
    given = parser.parse(argv)
    if given.rows < 1:
        raise ConfigError("--rows: a number above 0")
    print(inferred(given.table, given.name, given.label, given.key, given.rows), end="")
    return 0


def _diff(argv: Sequence[str]) -> int:
    parser = Parser(
        prog="tfspark contract diff",
        description="What changed between two contracts, and whether tables and models made with "
        f"the first still fit. Ends with {ContractViolation.exit_code} if they do not.",
    )
    parser.add_argument(
        "old", metavar="OLD", help="a contract, or the folder of a dataset's version"
    )
    parser.add_argument("new", metavar="NEW")
    given = parser.parse(argv)
    old, new = (load_contract(_file(path)) for path in (given.old, given.new))
    found = changes(old, new)
    print(f"{old.name} {old.version} → {new.name} {new.version}")
    if not found:
        print("  no difference of meaning")
        return 0
    width = max(len(printable(one.column)) for one in found)
    for one in found:
        parts = [w for w, breaks in (("tables", one.data), ("models", one.models)) if breaks]
        sign = f"✗ {' and '.join(parts)}" if parts else "✓"
        print(f"  {sign:<19} {printable(one.column):<{width}}  {printable(one.said)}")
    broken = [w for w in ("data", "models") if any(getattr(one, w) for one in found)]
    if not broken:
        print("\ntables and models made with the first still fit")
        return 0
    said = {"data": "tables that fitted may have bad rows or not be taken: prepare them again"}
    said["models"] = "models made with the first may not fit: train again"
    print("\n" + "\n".join(said[one] for one in broken))
    if old.version == new.version:
        print(f"both call themselves {new.version}: give the new one another version")
    return ContractViolation.exit_code


def _file(path: str) -> str:
    inside = storage.join(path, CONTRACT)
    return inside if Path(path).is_dir() and storage.exists(inside) else path
