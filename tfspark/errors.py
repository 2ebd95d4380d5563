"""Every exception that tfspark raises on purpose, and the exit code it means.

    TfsparkError                     1   a fault of ours: please report it
    ├── ConfigError                  2   a setting, a recipe, an argument
    │   ├── ContractFileError        2   a contract file is refused (file and line)
    │   ├── ModelNotFound            2   no model at that folder or URI
    │   └── SignatureError           2   columns do not fit the model's inputs
    ├── ContractViolation            3   the data breaks its contract
    ├── GateError                    4   the model did not pass its gate
    ├── TrainingError                5   training failed
    ├── StorageError                 6   reading, writing or committing failed
    │   ├── Conflict                75   another was faster: look, and try again
    │   ├── StoreBusy               75   a store throttles or cannot be reached: try again later
    │   ├── ModelFailed              6   a model fails, whatever the rows
    │   ├── IntegrityError           6   a file differs from its manifest
    │   └── UnsafeModelError         6   a SavedModel holds ops that are not allow-listed
    └── SourceMissing               75   the source is not there (yet): try again later

Every message says what is wrong, where (table, column, file, row) and what to do.
"""

from __future__ import annotations

from tfspark.mask import mask_text

__all__ = [
    "ConfigError",
    "Conflict",
    "ContractFileError",
    "ContractViolation",
    "GateError",
    "IntegrityError",
    "ModelFailed",
    "ModelNotFound",
    "SignatureError",
    "SourceMissing",
    "StorageError",
    "StoreBusy",
    "TfsparkError",
    "TrainingError",
    "UnsafeModelError",
]


class TfsparkError(Exception):
    """Base of every error raised on purpose. `exit_code` is what a job ends with.

    Its message shows no secret: others' messages, which are quoted in ours, may hold a URL's
    password.
    """

    exit_code = 1

    def __init__(self, *args: object) -> None:
        super().__init__(*(mask_text(arg) if isinstance(arg, str) else arg for arg in args))


class ConfigError(TfsparkError):
    """A setting, recipe or argument is wrong."""

    exit_code = 2


class ContractFileError(ConfigError):
    """A contract file cannot be used; the message starts with `file:line`."""


class ModelNotFound(ConfigError):
    """There is no model at the folder or URI that was given."""


class SignatureError(ConfigError):
    """The columns of a table cannot be bound to the inputs of a model."""


class ContractViolation(TfsparkError):
    """The data breaks its contract beyond what the contract allows."""

    exit_code = 3


class GateError(TfsparkError):
    """A model did not pass its gate."""

    exit_code = 4


class TrainingError(TfsparkError):
    """Training failed or gave a model that cannot be used."""

    exit_code = 5


class StorageError(TfsparkError):
    """Reading, writing or committing failed."""

    exit_code = 6


class Conflict(StorageError):
    """Another was faster, so what was decided on is no longer there; nothing is changed."""

    exit_code = 75


class StoreBusy(StorageError):
    """A store throttles, or does not answer, and went on so through all tries."""

    exit_code = 75


class ModelFailed(StorageError):
    """A model fails for every row, so it is not the rows."""


class IntegrityError(StorageError):
    """A file is not the one that its manifest names."""


class UnsafeModelError(StorageError):
    """A SavedModel holds ops that are not on the allow-list, so it is not opened."""


class SourceMissing(TfsparkError):
    """The source table or its day is not there; a later try may find it."""

    exit_code = 75
