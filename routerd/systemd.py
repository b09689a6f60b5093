"""What a service manager is told of this process: sd_notify(3), without a library.

A datagram to the socket that `NOTIFY_SOCKET` names; without one, nothing. The watchdog is patted
by the event loop's heartbeat and by nobody else: a loop that hangs stops patting.
"""

import logging
import os
import socket
from collections.abc import MutableMapping
from typing import Final

import trio

from routerd.status import DaemonStatus, RouteState

logger = logging.getLogger(__name__)

_PATS_PER_TIMEOUT: Final = 4
"""Twice as many as would do: heartbeats come at intervals of their own, and may come late."""
_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the routes, and between two extensions of the stop timeout."""
_EXTENSION: Final = 5.0
"""Seconds by which each extension puts SIGKILL off."""
_AFTER_DRAIN: Final = 5.0
"""Seconds that the end takes after the drain's deadline: goodbyes, and the last log lines."""
_LONGEST_STATUS: Final = 200
_WORST_FIRST: Final[tuple[RouteState, ...]] = ("failed", "backoff", "starting", "stopped")


class Notifier:
    """The service manager's socket, and how often it wants to hear of us.

    Attributes:
        pat_every: seconds between two pats of the watchdog, at most; None: there is none.
    """

    def __init__(self, address: str | None, *, pat_every: float | None = None) -> None:
        self.pat_every = pat_every
        self._address = address
        self._has_failed = False

    def send(self, *assignments: str) -> bool:
        """Sends all of them in one datagram. Never blocks or raises; trouble is logged once.

        False: its queue is full, or it is gone.
        """
        if self._address is None:
            return True
        # A leading @ stands for the zero byte of Linux's abstract names.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(assignments).encode("utf-8", "replace"), address)
        except (OSError, ValueError) as exc:
            if not self._has_failed:
                logger.warning("the service manager does not hear us error=%r", str(exc))
            self._has_failed = True
            return False
        return True


def open_notifier(environ: MutableMapping[str, str] | None = None) -> Notifier:
    """The notifier that the environment asks for; takes it out, so that no child inherits it."""
    environ = os.environ if environ is None else environ
    address = environ.pop("NOTIFY_SOCKET", "")
    microseconds = environ.pop("WATCHDOG_USEC", "")
    watched = environ.pop("WATCHDOG_PID", "") or str(os.getpid())
    pat_every = None
    if microseconds.isdecimal() and int(microseconds) and watched == str(os.getpid()):
        pat_every = int(microseconds) / 1e6 / _PATS_PER_TIMEOUT
    return Notifier(address if address[:1] in {"/", "@"} else None, pat_every=pat_every)


class Service:
    """One run of the daemon, as its service manager follows it."""

    def __init__(self, notifier: Notifier, status: DaemonStatus) -> None:
        self._notifier = notifier
        self._status = status
        self._words = ""
        self._is_ready = False
        self._owed: tuple[str, ...] = ()
        self._drains_until: float | None = None
        self._next_pat = self._next_look = float("-inf")

    def ready(self) -> None:
        """Every listener is bound and every route was started."""
        self._is_ready = True
        self._words = self._describe()
        self._insist("READY=1", f"STATUS={self._words}")

    def stopping(self, *, drain_seconds: float) -> None:
        """The drain begins. It is given its time, whatever the unit's `TimeoutStopSec` says."""
        self._drains_until = trio.current_time() + drain_seconds
        self._words = self._describe()
        self._insist("STOPPING=1", f"STATUS={self._words}", _extension())

    def beat(self) -> None:
        """Called from the event loop's heartbeat. Pats the watchdog, and says what has changed."""
        now = trio.current_time()
        if self._owed:
            self._insist(*self._owed)
        every = self._notifier.pat_every
        if every is not None and now >= self._next_pat:
            self._next_pat = now + every
            self._notifier.send("WATCHDOG=1")
        if now >= self._next_look:
            self._next_look = now + _LOOK_EVERY
            self._look(now)

    def _insist(self, *assignments: str) -> None:
        """Sends what must be heard, if need be once more at the next beat."""
        self._owed = () if self._notifier.send(*assignments) else assignments

    def _look(self, now: float) -> None:
        until = self._drains_until
        if until is not None and now < until + _AFTER_DRAIN:
            self._notifier.send(_extension())
        words = self._describe()
        if self._is_ready and words != self._words and self._notifier.send(f"STATUS={words}"):
            self._words = words

    def _describe(self) -> str:
        """The state of things in one line, as `systemctl status` shows it."""
        routes = self._status.routes
        if self._drains_until is not None and trio.current_time() >= self._drains_until:
            return "ending; what was left unconfirmed is in the log"
        if self._drains_until is not None:
            left = sum(route.inflight for route in routes)
            return f"draining, {left} messages left unconfirmed"
        running = sum(route.state == "running" for route in routes)
        words = f"{running} of {len(routes)} routes run"
        for state in _WORST_FIRST:
            for route in routes:
                if route.state == state:
                    said = route.standing.error if route.standing is not None else route.reason
                    words += f"; {route.name}: {state}" + (f", {said}" if said else "")
                    return _on_one_line(words)
        return _on_one_line(words)


def _extension() -> str:
    return f"EXTEND_TIMEOUT_USEC={int(_EXTENSION * 1e6)}"


def _on_one_line(text: str) -> str:
    """A datagram is lines of assignments: no text of ours may begin another one."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= _LONGEST_STATUS else shown[: _LONGEST_STATUS - 3] + "..."
