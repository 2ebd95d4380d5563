"""What the JVM's scoring job knows of settings and contracts: `python scripts/settings_schema.py`.

Writes the JSON schemas of `tfspark.config.Settings` and of a contract into the Scala module.
"""

import json
from pathlib import Path

from tfspark.config import Settings
from tfspark.contracts import Contract

FOLDER = Path(__file__).parent.parent / "interop" / "src" / "main" / "resources" / "tfspark"


def schemas() -> dict[str, str]:
    """File → its text."""
    made = {
        "settings.json": Settings.model_json_schema(),
        "contract.json": Contract.model_json_schema(by_alias=True),
    }
    return {name: json.dumps(value, indent=1) + "\n" for name, value in made.items()}


if __name__ == "__main__":
    for name, text in schemas().items():
        (FOLDER / name).write_text(text, "utf-8")
