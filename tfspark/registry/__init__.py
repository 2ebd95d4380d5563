"""Model versions: manifest, signature, safety, MLflow."""

from typing import TYPE_CHECKING

from tfspark import lazy

if TYPE_CHECKING:
    from tfspark.registry.manifest import read_manifest, write_manifest

__all__ = ["read_manifest", "write_manifest"]

__getattr__ = lazy.names(__name__, {"manifest": ("read_manifest", "write_manifest")})
