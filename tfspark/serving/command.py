"""`tfspark serve`: a model behind TensorFlow Serving's REST API, on this machine."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tfspark.config import load_settings
from tfspark.console import print_summary
from tfspark.errors import ConfigError
from tfspark.extras import need
from tfspark.flags import Parser
from tfspark.registry.resolve import ModelFolder, resolve_model
from tfspark.serving.refused import Refused

if TYPE_CHECKING:
    from tfspark.serving.app import App

_WAITING = 1024  # connections
_ALIAS = re.compile(r"models:/[^/@]+@([^/@]+)")


def main(argv: Sequence[str]) -> int:
    """Answer TensorFlow Serving's REST API with one model, for trying clients. It ends at SIGTERM
    or Ctrl-C, when what has come is answered."""
    parser = Parser(prog="tfspark serve", description=main.__doc__)
    model_flags(parser)
    parser.add_argument("--port", type=_count, default=8501, help="0: any free one; default 8501")
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine alone")
    parser.add_argument("--label", action="append", default=[], help="of the version, in URLs")
    parser.add_argument("--max-body", type=_size, default=32 << 20, metavar="BYTES")
    parser.add_argument("--queue", type=_size, default=512, help="requests at a time; default 512")
    parser.add_argument("--deadline", type=_seconds, default=60.0, help="of a request; default 60")
    parser.add_argument("--wall", default="auto", choices=("auto", "always", "never"))
    given = parser.parse(argv)
    need("starlette", "tfspark serve")
    need("uvicorn", "tfspark serve")
    from tfspark.serving.app import App, Bounds
    from tfspark.serving.model import Served

    model = model_of(given)
    name, version = name_of(model, given)
    alias = _ALIAS.fullmatch(given.model)
    labels = [*given.label, *([alias[1]] if alias else [])]
    # Before the model is opened: a port that is taken is told at once.
    with _listening(given.host, given.port) as listening:
        served = Served(model, name, version, labels, deadline=given.deadline, wall=given.wall)
        try:
            try:
                served.open()
            except Refused as refused:
                raise ConfigError(f"model {model.path}: {refused}") from None
            app = App(served, Bounds(given.max_body, given.queue, given.deadline))
            listening.listen(_WAITING)
            port = listening.getsockname()[1]
            place = f"[{given.host}]" if ":" in given.host else given.host
            print(f"serve: {name} {version} at http://{place}:{port}/v1/models/{name}", flush=True)
            if given.host not in ("127.0.0.1", "::1", "localhost"):
                print("serve: whoever reaches this address can ask it", file=sys.stderr)
            run(app, listening, given.deadline)
        finally:
            served.close()
    print_summary("serve: done", {"model": f"{name} {version}", "answered": app.answered})
    return 0


def run(app: App, listening: socket.socket, deadline: float) -> None:
    """Answer until SIGTERM or Ctrl-C; then those requests that are there."""
    import uvicorn

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(deadline) + 5,
    )
    # uvicorn raises the signal again when it is done; then it has no more to say.
    with contextlib.suppress(ValueError):  # of the main thread alone
        signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        app.close()


def model_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that name a model."""
    parser.add_argument("model", metavar="MODEL", help="a folder, or models:/name@alias, name/3")
    parser.add_argument("--name", help="by which clients know it; default: its own")
    parser.add_argument("--version", type=_count, metavar="N", help="default: its own, else 1")
    parser.add_argument("--signature", help="default: the manifest's, else serving_default")
    parser.add_argument("--config", metavar="FILE", help="for the registry of models:/...")
    parser.add_argument("--warehouse", metavar="FOLDER", help="default: the configuration's")


def model_of(given: argparse.Namespace) -> ModelFolder:
    """The model that is named, verified.

    Raises:
        TfsparkError: see `resolve_model`.
    """
    overrides = {} if given.warehouse is None else {"warehouse": given.warehouse}
    settings = load_settings(given.config, overrides)
    return resolve_model(given.model, settings.tracking_uri, given.signature)


def name_of(model: ModelFolder, given: argparse.Namespace) -> tuple[str, int]:
    """By which a model is known where it is served.

    Raises:
        ConfigError: no URL can have such a name.
    """
    name = given.name or model.name
    if not re.fullmatch(r"[A-Za-z0-9._ -]+", name) or not name.strip(". "):
        raise ConfigError(f"the name {name!r} is none for a URL; give another with --name")
    number = given.version
    if number is None:
        number = int(model.version) if model.version.isdecimal() else 1
    return name, number


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except (OSError, OverflowError) as error:
            said = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            raise ConfigError(
                f"--host {host} --port {port}: cannot listen there: {said}; --port 0 takes a free "
                "port"
            ) from None
        yield listening


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _size(text: str) -> int:
    if (number := _count(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds
