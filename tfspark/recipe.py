"""Deprecated: `from tfspark.config.recipe import ...`."""

from tfspark.config.recipe import *  # noqa: F403
from tfspark.deprecated import moved

moved(__name__, instead="from tfspark.config.recipe import ...", since="0.2.0", removed_in="0.3.0")
