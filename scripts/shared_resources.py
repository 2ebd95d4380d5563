"""What the Scala module shares with Python: `python scripts/shared_resources.py`.

Writes the JSON schemas of the settings and of a contract, and `shared.json`: names of variables,
patterns of secrets, flags, errors, texts.
"""

import inspect
import json
from pathlib import Path

from tfspark import errors
from tfspark.cli import COMMANDS
from tfspark.config import Settings
from tfspark.config.load import OWN_VARIABLES
from tfspark.config.mask import FREE
from tfspark.config.settings import ENV_PREFIX
from tfspark.console import CONTROL
from tfspark.contracts import Contract, odcs
from tfspark.mask import SENSITIVE, SHOWN, TEXTS
from tfspark.wording import TEXTS as WORDS

FOLDER = Path(__file__).parent.parent / "interop" / "src" / "main" / "resources" / "tfspark"


def resources() -> dict[str, str]:
    """File → its text."""
    shared = {
        "prefix": ENV_PREFIX,
        "own variables": OWN_VARIABLES,
        "secret": SENSITIVE,
        "secrets in texts": TEXTS,
        "shown options": SHOWN,
        "free settings": FREE,
        "control characters": CONTROL,
        "flags": COMMANDS["score"].short,
        "errors": {
            name: {"exit code": kind.exit_code, "under": kind.__bases__[0].__name__}
            for name, kind in inspect.getmembers(errors, inspect.isclass)
        },
        "texts": WORDS,
        "odcs": {name.lower(): getattr(odcs, name) for name in vars(odcs) if name.isupper()},
    }
    made = {
        "settings.json": Settings.model_json_schema(),
        "contract.json": Contract.model_json_schema(by_alias=True),
        "shared.json": shared,
    }
    return {name: json.dumps(value, indent=1) + "\n" for name, value in made.items()}


if __name__ == "__main__":
    for name, text in resources().items():
        (FOLDER / name).write_text(text, "utf-8")
