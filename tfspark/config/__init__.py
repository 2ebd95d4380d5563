"""Settings: every one typed, from the command line, the environment and a file."""

from tfspark.config.load import load_settings, require_date
from tfspark.config.mask import masked
from tfspark.config.settings import (
    Distributed,
    Prepare,
    Settings,
    Source,
    Space,
    Split,
)

__all__ = [
    "Distributed",
    "Prepare",
    "Settings",
    "Source",
    "Space",
    "Split",
    "load_settings",
    "masked",
    "require_date",
]
