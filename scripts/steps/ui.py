"""What set-up says, and commands that run with their progress shown."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from steps.paths import LOGS

PLAIN_EVERY_S = 20.0  # where the output is not a terminal


class SetupError(Exception):
    """What is missing, and what to do about it."""


class CommandError(SetupError):
    """A command failed; `output` is what it wrote."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


def say(text: str = "") -> None:
    print(text, flush=True)


def fail(text: str, what: str = "set-up") -> NoReturn:
    print(f"\n{what} stopped: {text}\n", file=sys.stderr, flush=True)
    sys.exit(1)


class Task:
    """A command in the background; its output goes to a log, its last line to the screen."""

    def __init__(
        self,
        title: str,
        command: Sequence[str | Path],
        *,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        self.title = title
        self.log = LOGS / (re.sub(r"\W+", "-", title.lower()).strip("-") + ".log")
        self.started = time.monotonic()
        self.seconds = 0.0
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,  # so that stop() ends its children too
            )

    def wait(self) -> str:
        """Show progress until the command ends; its output, or CommandError."""
        terminal = sys.stdout.isatty()
        next_plain = time.monotonic() + PLAIN_EVERY_S
        try:
            while self.process.poll() is None:
                time.sleep(0.3)
                if terminal:
                    self._show("\r\x1b[2K", end="")
                elif time.monotonic() >= next_plain:
                    next_plain += PLAIN_EVERY_S
                    self._show("")
        except BaseException:
            self.stop()
            raise
        finally:
            if terminal:
                print("\r\x1b[2K", end="", flush=True)
        self.seconds = time.monotonic() - self.started
        output = self.output()
        if self.process.returncode != 0:
            tail = "\n".join("  | " + line for line in output.splitlines()[-25:])
            raise CommandError(
                f"{self.title}: the command below ended with {self.process.returncode}\n"
                f"  {' '.join(map(str, self.process.args))[:300]}\n{tail}\n"
                f"  all of its output: {self.log}",
                output,
            )
        say(f"  {self.title:<34} {self.seconds:6.1f} s")
        return output

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _show(self, start: str, end: str = "\n") -> None:
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 200_000))
            lines = log.read().decode("utf-8", "replace").replace("\r", "\n").split("\n")
        # A compiler's "[ 40%] Building ..." tells more than its command lines and warnings.
        told = [line for line in lines if re.match(r"\[ *\d+%\]", line)]
        told = told or [line for line in lines if line.strip()]
        last = told[-1].strip() if told else ""
        elapsed = time.monotonic() - self.started
        text = f"  {self.title:<34} {elapsed:6.0f} s  {last}"
        width = os.get_terminal_size().columns - 1 if end == "" else 150
        print(start + text[:width], end=end, flush=True)


def run(
    title: str,
    command: Sequence[str | Path],
    *,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    return Task(title, command, env=env, cwd=cwd).wait()
