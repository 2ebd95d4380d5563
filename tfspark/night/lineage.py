"""What a night read and wrote, as two OpenLineage events: they are sent when it has ended."""

from __future__ import annotations

import json
import os
import re
import threading
import urllib.request
import uuid
from typing import Any

import tfspark
from tfspark.mask import mask_text
from tfspark.night.record import Record
from tfspark.tablenames import is_path

SECONDS = 5.0
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
PRODUCER = "https://pypi.org/project/tfspark"
KEY = "OPENLINEAGE_API_KEY"


def send_lineage(
    url: str, record: Record, source: str, target: str, seconds: float = SECONDS
) -> str:
    """Send the events of a night; what went wrong, "" if nothing did. It never raises.

    Args:
        url: where events are taken, e.g. http://marquez:5000/api/v1/lineage; "": nowhere.
        source, target: what the night reads and writes.
        seconds: after which it is given up.
    """
    if not url:
        return ""
    if not re.match(r"https?://", url):
        return "nightly.lineage: is no http:// or https:// address; no event was sent"
    failed: list[str] = []

    def send() -> None:
        try:
            for event in events(record, source, target):
                _post(url, event, seconds)
        except Exception as error:  # of whatever kind: the night is what it is
            failed.append(mask_text(f"{type(error).__name__}: {error}"))

    # A server that answers byte by byte keeps a socket's timeout from coming.
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    sender.join(seconds)
    if sender.is_alive():
        return f"nightly.lineage: had not answered after {seconds:g} s"
    return f"nightly.lineage: {failed[0]}" if failed else ""


def events(record: Record, source: str, target: str) -> list[dict[str, Any]]:
    """START, then COMPLETE or FAIL; of a night that is to be tried again ABORT."""
    ends = {0: "COMPLETE", 75: "ABORT"}
    end = ends.get(record["exit_code"], "FAIL")
    about = {
        "run": {"runId": str(uuid.UUID(record["run"]))},
        "job": {"namespace": "tfspark", "name": f"nightly.{record['name']}"},
        "inputs": [_dataset(source)],
        "outputs": [_dataset(target)],
        "producer": f"{PRODUCER}/{tfspark.__version__}",
        "schemaURL": SCHEMA,
    }
    times = (("START", record["started"]), (end, record["ended"] or record["started"]))
    return [{"eventType": kind, "eventTime": at, **about} for kind, at in times]


def _dataset(place: str) -> dict[str, str]:
    """A table as OpenLineage names it: a file system, and the path there."""
    if found := re.fullmatch(r"(?!file:)([a-z][\w+.-]*://[^/]+)/*(.*)", place):
        return {"namespace": found[1], "name": found[2] or "/"}
    kind = "file" if is_path(place) else "spark"
    return {"namespace": kind, "name": place.removeprefix("file:")}


def _post(url: str, event: dict[str, Any], seconds: float) -> None:
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY):
        headers["Authorization"] = f"Bearer {key}"
    body = json.dumps(event).encode()
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - http(s)
    with urllib.request.urlopen(request, timeout=seconds):  # noqa: S310
        pass
