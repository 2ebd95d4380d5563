"""A contract as a page for people, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tfspark.contracts.column import Column
from tfspark.contracts.contract import Contract
from tfspark.contracts.load import content, named, read
from tfspark.flags import Parser


def page(contract: Contract, source: str) -> str:
    """The page of one contract; `source` is the file that it was made from."""
    table = contract.table
    about = contract.description
    told = [about] if isinstance(about, str) else list(about.values())
    told = [text for text in [*told, table.description] if text]
    lines = [
        f"# Table `{contract.name}`",
        "",
        f"Contract `{contract.id}` {contract.version} ({contract.status}), "
        f"generated from `{source}`.",
        "",
        *([*told, ""] if told else []),
        f"Key: {', '.join(f'`{key}`' for key in contract.keys)}. {_threshold(contract)}",
        "",
        "| column | type | role | null | checks | tensor | description |",
        "|---|---|---|---|---|---|---|",
        *[_row(column) for column in contract.columns],
    ]
    return "\n".join(lines) + "\n"


def _threshold(contract: Contract) -> str:
    allowed = contract.table.quarantine
    bounds = []
    if allowed.max_share is not None:
        bounds.append(f"{allowed.max_share:.4g} of the rows")
    if allowed.max_rows is not None:
        bounds.append(f"{allowed.max_rows} rows")
    if not bounds:
        return "Any number of bad rows goes to quarantine."
    return f"Bad rows go to quarantine; at most {' and '.join(bounds)} may be bad."


def _row(column: Column) -> str:
    name, *cells = cells_of(column)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{name}`", *cells)) + " |"


def cells_of(column: Column) -> list[str]:
    """Name, type, role, null, checks, tensor, description."""
    return [
        column.name,
        column.physical_type,
        "key" if column.key else column.role,
        "no" if column.required or column.key else "yes",
        "; ".join(_checks(column)),
        _tensor(column),
        column.description,
    ]


def _checks(column: Column) -> list[str]:
    options = column.options
    said = []
    if column.key or column.unique:
        said.append("unique" if column.unique or column.primary_key else "key")
    if column.valid_values is not None:
        said.append("one of " + ", ".join(str(value) for value in column.valid_values))
    bounds = {
        "at least": options.minimum,
        "above": options.exclusive_minimum,
        "at most": options.maximum,
        "below": options.exclusive_maximum,
        "a multiple of": options.multiple_of,
        "written": options.format,
    }
    said += [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
    if options.pattern is not None:
        said.append(f"matches `{options.pattern}`")
    if options.min_length is not None:
        said.append(f"length at least {options.min_length}")
    if options.max_length is not None:
        said.append(f"length at most {options.max_length}")
    if options.min_items is not None:
        said.append(f"at least {options.min_items} items")
    if options.max_items is not None:
        said.append(f"at most {options.max_items} items")
    return said


def _tensor(column: Column) -> str:
    if column.role == "ignore":
        return ""
    try:
        spec = column.tensor_spec()
    except ValueError:
        return "none; for a model: `tensor: {dtype: float64}`"
    shape = "".join(f"[{'?' if size is None else size}]" for size in spec.shape)
    told = spec.to_json()
    text = f"{spec.dtype}{shape}"
    for key, said in (("null", "null as"), ("pad", "padded with")):
        if (value := told.get(key)) is not None:
            text += f", {said} {value!r}"
    return text + (", no NaN" if spec.refuse_nan else "")


def main(argv: Sequence[str]) -> int:
    """`tfspark contract FILE`: check a contract and print its page."""
    parser = Parser(prog="tfspark contract", description=main.__doc__)
    parser.add_argument("file", help="schemas/NAME.yaml")
    path = parser.parse(argv).file
    file, table = named(path)
    contract, kept = read(content(path), file, table)
    print(page(contract, path), end="")
    if kept:
        print(f"\nIn the file, and not used: {', '.join(kept)}.")
    return 0
