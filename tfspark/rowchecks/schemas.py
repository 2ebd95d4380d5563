"""The columns of a raw table and of a contract, in Spark's types and in Arrow's."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import types as T

from tfspark.compat.spark import from_arrow_type, to_arrow_type
from tfspark.contracts.contract import Contract
from tfspark.contracts.types import spark_type
from tfspark.tensors.arrowtypes import loose_type


def spark_schema(raw: pa.Schema) -> T.StructType:
    """The raw table's schema in Spark's types."""
    return T.StructType([T.StructField(f.name, from_arrow_type(f.type)) for f in raw])


def typed_schema(contract: Contract) -> pa.Schema:
    """The contract's columns with the types in which Spark hands them over."""
    return pa.schema(
        [
            (c.name, loose_type(to_arrow_type(spark_type(c.physical_type), timezone="UTC")))
            for c in contract.columns
        ]
    )
