"""routerd itself as a child process: started, asked, stopped, killed and frozen.

What routerd's log and its admin listener call things is said here and nowhere else in the rig.
"""

import http.client
import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.rig.process import Child
from tests.rig.waiting import wait_until

LogLine = dict[str, object]

_EVENT = "event"
_LEVEL = "level"
_READY = "ready"
_WEBSOCKET = "ws"
_ADMIN = "admin"
_PROJECT = Path(__file__).parent.parent.parent


class Answer(NamedTuple):
    """What the admin listener answered."""

    status: int
    text: str


class Routerd:
    """A daemon that runs `table` (TOML), from `start` (or `with`) to `stop`.

    Listeners should say port 0; `start` finds out which they got. The file is `config_path`: write
    to it and `restart`.

    Args:
        table: the routing table.
        env: added to the environment.
        arguments: further ones of the command line.
        prefix: a program to run it under, e.g. `["prlimit", "--nofile=64"]`.
    """

    def __init__(
        self,
        table: str,
        *,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="routerd-")
        self._folder = Path(self._temporary.name)
        self.config_path = self._folder / "routes.toml"
        self.config_path.write_text(table)
        program = [sys.executable, "-m", "routerd", "--config", str(self.config_path)]
        self._command = [*prefix, *program, "--log-format", "json", *arguments]
        paths = [str(_PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._env = {"PYTHONPATH": os.pathsep.join(paths), **(env or {})}
        self.child: Child | None = None
        self._lines_before = 0

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close(shows_log=True)
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(shows_log=exc is not None)

    def close(self, *, shows_log: bool = False) -> None:
        """Kills it and removes its files; what it logged goes to stderr if it `shows_log`."""
        if self.child is not None:
            self.child.kill()
            if shows_log:
                sys.stderr.write(f"--- log of routerd\n{self.child.stderr[-20_000:]}\n")
        self._temporary.cleanup()

    def start(self, *, timeout: float = 20.0) -> None:
        """Returns when it has said that it is ready.

        Raises:
            RuntimeError: it ended instead.
        """
        self.launch()
        self._running().wait_ready(lambda: self._ready_line() is not None, timeout=timeout)

    def launch(self) -> None:
        """Starts the process without waiting for anything, as for a table that is bad."""
        self._lines_before = 0 if self.child is None else self.child.stderr.count("\n")
        self.child = Child(self._command, name="routerd", folder=self._folder, env=self._env)

    def stop(self, *, timeout: float = 20.0) -> int:
        """SIGTERM; its exit code. One that has not ended in time is killed (-9)."""
        return self._running().terminate(timeout=timeout)

    def wait(self, *, timeout: float = 20.0) -> int:
        """Its exit code, once it ends by itself."""
        return self._running().wait(timeout=timeout)

    def kill(self) -> None:
        """SIGKILL."""
        self._running().kill()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._running().freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._running().thaw()

    def signal(self, number: signal.Signals) -> None:
        """Sends any other signal."""
        self._running().signal(number)

    def restart(self) -> None:
        """Stops it if it runs and starts it again; ports may change."""
        self.stop()
        self.start()

    @property
    def ws_address(self) -> tuple[str, int]:
        """Where its WebSocket listener is bound."""
        return self._address(_WEBSOCKET)

    @property
    def admin_address(self) -> tuple[str, int]:
        """Where its admin listener is bound."""
        return self._address(_ADMIN)

    def get(self, path: str, *, timeout: float = 5.0) -> Answer:
        """GETs a path of the admin listener."""
        connection = http.client.HTTPConnection(*self.admin_address, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode())
        finally:
            connection.close()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 where there is none."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(pair in sample for pair in wanted):
                total += float(value)
        return total

    @property
    def log(self) -> list[LogLine]:
        """What the latest process has logged; a line that is no JSON is an event by itself."""
        text = self._running().stderr
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [_parsed(line) for line in whole[self._lines_before :]]

    def events(self, event: str) -> list[LogLine]:
        """Its log lines of that event."""
        return [line for line in self.log if line[_EVENT] == event]

    def troubles(self) -> list[LogLine]:
        """Its log lines of level error or above."""
        return [line for line in self.log if line[_LEVEL] in ("error", "critical")]

    def wait_event(self, event: str, *, count: int = 1, timeout: float = 20.0) -> LogLine:
        """The `count`th log line of that event, waited for."""
        wait_until(
            lambda: len(self.events(event)) >= count, f"routerd logs {event!r}", timeout=timeout
        )
        return self.events(event)[count - 1]

    def _ready_line(self) -> LogLine | None:
        return next(iter(self.events(_READY)), None)

    def _address(self, listener: str) -> tuple[str, int]:
        line = self._ready_line()
        assert line is not None, "routerd is not ready"
        host, _, port = str(line[listener]).rpartition(":")
        return host.strip("[]"), int(port)

    def _running(self) -> Child:
        assert self.child is not None, "routerd was never started"
        return self.child


def _parsed(line: str) -> LogLine:
    try:
        found = json.loads(line)
    except ValueError:
        return {_EVENT: line, _LEVEL: ""}
    return found if isinstance(found, dict) else {_EVENT: line, _LEVEL: ""}
