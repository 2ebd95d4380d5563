"""What schedulers are given, and what lineage they are told."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.page.nights import record
from tfspark.night.lineage import send_lineage

# The part of the operator's own schema that the file uses; it says where it is from.
OPERATOR = json.loads((ROOT / "tests/night/scheduled_spark_application.json").read_text())
KINDS = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def misfits(schema: dict[str, Any], value: Any, where: str = "") -> Iterator[str]:
    """What of a value an API server would refuse, or drop because it does not know it."""
    kind = KINDS.get(schema.get("type", ""))
    if kind and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        yield f"{where}: {value!r} is no {schema['type']}"
    elif value not in schema.get("enum", [value]) or value == "":
        yield f"{where}: {value!r} is none of {schema.get('enum')}"
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from misfits(schema["items"], one, f"{where}[{place}]")
    elif isinstance(value, dict) and "properties" in schema:
        yield from (f"{where}.{name}: missing" for name in {*schema.get("required", ())} - {*value})
        for name, one in value.items():
            if name in schema["properties"]:
                yield from misfits(schema["properties"][name], one, f"{where}.{name}")
            else:
                yield f"{where}.{name}: unknown"


def test_the_operator_takes_the_night() -> None:
    night = yaml.safe_load((ROOT / "conf" / "nightly-k8s.yaml").read_text())
    assert (night["kind"], night["apiVersion"]) == (OPERATOR["kind"], OPERATOR["apiVersion"])
    assert [*misfits(OPERATOR["schema"], night)] == []
    spec = night["spec"]
    assert (spec["timeZone"], spec["concurrencyPolicy"]) == ("UTC", "Forbid")
    assert spec["template"]["restartPolicy"] == {"type": "Never"}
    assert "--due" in spec["template"]["arguments"]
    wrong = copy.deepcopy(night)
    wrong["spec"]["timezone"] = "UTC"
    wrong["spec"]["template"]["type"] = "Perl"
    wrong["spec"]["template"]["arguments"][-1] = 3
    del wrong["spec"]["schedule"]
    assert len([*misfits(OPERATOR["schema"], wrong)]) == 4


@pytest.fixture
def taken() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that takes events, and what it took."""
    found: list[dict[str, Any]] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201 if self.path == "/lineage" else 500)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", found
        server.shutdown()


def test_two_events_tell_what_a_night_read_and_wrote(
    taken: tuple[str, list[dict[str, Any]]],
) -> None:
    address, found = taken
    run = "0123456789abcdef0123456789abcdef"
    for code, end in ((0, "COMPLETE"), (3, "FAIL"), (75, "ABORT")):
        night = {**record("red"), "exit_code": code, "run": run}
        assert send_lineage(f"{address}/lineage", night, "/raw/a", "s3://b/c/d") == ""
        first, last = found[-2:]
        assert (first["eventType"], last["eventType"]) == ("START", end)
        assert first["run"] == last["run"] == {"runId": "01234567-89ab-cdef-0123-456789abcdef"}
        assert last["inputs"] == [{"namespace": "file", "name": "/raw/a"}]
        assert last["outputs"] == [{"namespace": "s3://b", "name": "c/d"}]
        assert {"eventTime", "producer", "schemaURL", "job"} <= last.keys()
    assert send_lineage("", night, "a", "b") == ""
    assert len(found) == 6


def test_an_address_that_fails_or_hangs_is_said(
    taken: tuple[str, list[dict[str, Any]]],
) -> None:
    night = {**record("green"), "run": "0" * 32}
    assert "HTTP Error 500" in send_lineage(f"{taken[0]}/other", night, "a", "b")
    assert "is no http://" in send_lineage("file:///etc", night, "a", "b")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        hangs = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        assert "nightly.lineage: " in send_lineage(hangs, night, "a", "b", 0.3)
    assert "refused" in send_lineage(hangs, night, "a", "b").lower()
    assert "ValueError" in send_lineage(f"{taken[0]}/lineage", {**night, "run": "x"}, "a", "b")
