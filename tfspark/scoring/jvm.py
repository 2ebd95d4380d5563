"""The plan `jvm`: rows are scored by the Scala module, in Spark's own processes.

The session needs the module's jars. Models are found, verified and bound here, as for every plan;
what the module refuses comes as the same errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame

from tfspark import errors
from tfspark.errors import ConfigError, TfsparkError
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.binding import Binding
from tfspark.scoring.many import AnyModel

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def check_module(spark: SparkSession, model: AnyModel) -> ModelFolder:
    """The model, if the Scala module is there and can score it.

    Raises:
        ConfigError: its jars are not on the session's classpath; or there are several models.
    """
    if not isinstance(model, ModelFolder):
        raise ConfigError(
            "plan 'jvm' takes one model, not several: use plan 'auto', 'scan', 'arrow' or 'pandas'"
        )
    _interop(spark)
    return model


def results(
    df: DataFrame, model: AnyModel, bound: Sequence[Binding], kept: Sequence[str], name: str
) -> DataFrame:
    """The kept columns and a struct of the outputs by number (`o0`, `o1`...) and `error`.

    Args:
        name: of the struct.

    Raises:
        ConfigError: see `check_module`; or a setting is wrong.
        ModelNotFound, IntegrityError, UnsafeModelError: the model has changed meanwhile.
        SignatureError: the module has no tensors of a dtype.
    """
    spark = df.sparkSession
    folder = check_module(spark, model)
    with _as_ours():
        frame = _interop(spark).scoreNumbered(
            df._jdf,
            folder.path,
            _columns(bound),
            list(kept),
            folder.signature.name,
            name,
        )
    return DataFrame(frame, spark)


def _interop(spark: SparkSession) -> Any:
    """The module's object for Python."""
    from py4j.java_gateway import JavaClass

    jvm: Any = getattr(spark, "_jvm", None)
    found = None if jvm is None else jvm.tfspark.Interop
    if not isinstance(found, JavaClass):  # py4j takes a name that it does not know for a package
        raise ConfigError(
            "plan 'jvm': the Scala module is not on the classpath of this session; start Spark "
            "with its jars: spark-submit --jars (make package builds them; or --packages, "
            "spark.jars, spark.jars.packages), see docs/scala.md; or use plan 'auto'"
        )
    return found


def _columns(bound: Sequence[Binding]) -> dict[str, list[str]]:
    return {binding.name: list(binding.columns) for binding in bound}


@contextmanager
def _as_ours() -> Iterator[None]:
    """What the module raises on purpose as the same error of this side.

    Raises:
        TfsparkError: the one of the same name and with the same message.
    """
    from py4j.protocol import Py4JJavaError

    try:
        yield
    except Py4JJavaError as error:
        java = error.java_exception
        package, _, name = str(java.getClass().getName()).rpartition(".")
        ours = getattr(errors, name, None) if package == "tfspark" else None
        if not (isinstance(ours, type) and issubclass(ours, TfsparkError)):
            raise
        raise ours(str(java.getMessage())) from None
