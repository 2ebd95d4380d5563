"""A request that is answered with an error: TensorFlow Serving's statuses and texts."""

from __future__ import annotations

import json
from typing import Any

INVALID, NOT_FOUND, TOO_LARGE = 400, 404, 413
INTERNAL, UNIMPLEMENTED, UNAVAILABLE, LATE = 500, 501, 503, 504
_SHOWN = 256
# The codes of TensorFlow's errors, as TensorFlow Serving answers them.
_HTTP = {3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 14: 503}


class Refused(Exception):
    """What the client is told.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, message: str, status: int = INVALID) -> None:
        super().__init__(message)
        self.status = status


def http_status(code: int) -> int:
    """The status of HTTP for a code of TensorFlow's."""
    return _HTTP.get(code, INTERNAL)


def shown(value: Any) -> str:
    """A JSON value in a message, cut off where it is long."""
    return json.dumps(value)[:_SHOWN]


def mistyped(value: Any, kind: str) -> Refused:
    """A value that does not become one of this dtype."""
    said = f"JSON Value: {shown(value)} Type: {_type(value)} is not of expected type: {kind}"
    return Refused(said)


def _type(value: Any) -> str:
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    names: dict[type, str] = {dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")
