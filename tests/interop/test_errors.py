"""The errors of the Scala module are Python's: names, parents, exit codes."""

from __future__ import annotations

import re
from pathlib import Path

from tfspark import errors

SOURCE = Path(__file__).parents[2] / "interop" / "src" / "main" / "scala" / "tfspark"
ABSENT = {"GateError", "TrainingError"}  # the module does not train


def test_the_tree_and_the_codes_are_pythons() -> None:
    text = (SOURCE / "errors.scala").read_text()
    found = re.findall(r"class (\w+)\([^{]*?\)\s+extends (\w+)\(message(?:, (\d+))?", text)
    assert found[0][:2] == ("TfsparkException", "RuntimeException")
    parents = {name: parent for name, parent, _ in found[1:]}
    codes: dict[str, int] = {}
    for name, parent, code in found[1:]:
        codes[name] = int(code) if code else codes[parent]
    ours = {
        name: cls
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and issubclass(cls, errors.TfsparkError)
        if cls is not errors.TfsparkError and name not in ABSENT
    }
    of_scala = {"TfsparkError": "TfsparkException"}
    assert parents == {
        name: of_scala.get(base := cls.__bases__[0].__name__, base) for name, cls in ours.items()
    }
    assert {name: codes[name] for name in parents} == {n: c.exit_code for n, c in ours.items()}
