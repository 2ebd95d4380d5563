"""What the Scala module shares with Python: `python scripts/shared_resources.py`.

Writes the JSON schemas of the settings and of a contract, and `shared.json`: names of variables,
patterns of secrets, flags, errors, texts.
"""

import inspect
import json
from pathlib import Path

from tfspark import errors
from tfspark.commands import COMMANDS, help_of
from tfspark.config import Settings
from tfspark.config.load import OWN_VARIABLES
from tfspark.config.mask import FREE
from tfspark.config.settings import ENV_PREFIX
from tfspark.config.textoptions import FILES, KNOWN, NEEDLESS, SAME
from tfspark.console import CONTROL, FORMS
from tfspark.contracts import Contract, odcs
from tfspark.mask import SENSITIVE, SHOWN, TEXTS
from tfspark.textblocks import PACKED
from tfspark.wording import BESIDE, CALLED, INSTEAD, STORES
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
        "text options": {
            name: {"kind": kind, "formats": formats} for name, (kind, formats) in KNOWN.items()
        },
        "needless options": NEEDLESS,
        "same options": dict(SAME),
        "options of files": FILES,
        "compressions": [*PACKED],
        "flags": COMMANDS["score"].short,
        "help": help_of("score"),
        "help all": help_of("score", everything=True),
        "forms of the log": FORMS,
        "errors": {
            name: {"exit code": kind.exit_code, "under": kind.__bases__[0].__name__}
            for name, kind in inspect.getmembers(errors, inspect.isclass)
        },
        "called": CALLED,
        "texts": WORDS,
        "tfrecord instead": INSTEAD,
        "beside tfrecord": BESIDE,
        "stores": STORES,
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
