"""Model builders: `builder(features, output, **params) -> keras.Model`."""

from typing import TYPE_CHECKING

from tfspark import lazy

if TYPE_CHECKING:
    from tfspark.models.images import cnn, resnet
    from tfspark.models.output import Output
    from tfspark.models.structured import mlp

__all__ = ["Output", "cnn", "mlp", "resnet"]

__getattr__ = lazy.names(
    __name__,
    {"images": ("cnn", "resnet"), "output": ("Output",), "structured": ("mlp",)},
)
