"""A DataFrame by a contract's checks, as plans get it whose tasks do not check."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
from typing import TYPE_CHECKING

from tfspark.config.textoptions import USUAL
from tfspark.contracts import Contract
from tfspark.keys import duplicates
from tfspark.plainfiles.raw import RawTable
from tfspark.scoring.table.checks import checked_frame, contract_checks, for_tasks, typed_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_FOLDER = tempfile.mkdtemp()
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


def check(df: DataFrame, contract: Contract, where: str = "t") -> DataFrame:
    """Typed columns, reasons and raw text."""
    raw, folder = for_tasks(df), f"{_FOLDER}/{uuid.uuid4().hex}"
    checks = contract_checks(raw, contract, where, USUAL, None)
    table = RawTable(df.sparkSession, raw, where, folder)
    times = duplicates(df.sparkSession, table, contract, where, f"{folder}/keys")
    return checked_frame(table, checks, typed_frame(raw, contract).schema, times)
