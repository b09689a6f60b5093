"""What systemd does for a unit of `Type=notify` with a watchdog, as far as tests need it."""

import socket
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.waiting import wait_until


class ServiceManager:
    """Listens where `NOTIFY_SOCKET` leads, from `with` to its end.

    Args:
        watchdog_seconds: how long a service may be silent; None: for ever.

    Attributes:
        env: what the service must find in its environment.
        heard: each datagram so far, as its lines, and when it was read.
    """

    def __init__(self, *, watchdog_seconds: float | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="notify-")
        path = str(Path(self._folder.name) / "notify")
        self._watchdog_seconds = watchdog_seconds
        self.env = {"NOTIFY_SOCKET": path}
        if watchdog_seconds is not None:
            self.env["WATCHDOG_USEC"] = str(int(watchdog_seconds * 1e6))
        self.heard: list[tuple[list[str], float]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()
        self._folder.cleanup()

    def listen(self) -> list[str]:
        """Every line heard so far, in order."""
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return [line for lines, _ in self.heard for line in lines]
            self.heard.append((data.decode().split("\n"), time.monotonic()))

    def wait_for(self, line: str, *, count: int = 1, timeout: float = 20.0) -> None:
        """Returns when this line was heard so often; one that ends in `=` with any value."""
        wait_until(lambda: self.count(line) >= count, f"the service says {line}", timeout=timeout)

    def count(self, line: str) -> int:
        """How often this line was heard; one that ends in `=` with any value."""
        lines = self.listen()
        return sum(each == line or (line[-1] == "=" and each.startswith(line)) for each in lines)

    @property
    def status(self) -> str:
        """The newest `STATUS=`."""
        said = [line for line in self.listen() if line.startswith("STATUS=")]
        return said[-1].removeprefix("STATUS=") if said else ""

    def wait_watchdog(self, *, timeout: float = 20.0) -> None:
        """Returns when the service has been silent for as long as the watchdog allows."""
        assert self._watchdog_seconds is not None
        patience = self._watchdog_seconds
        start = time.monotonic()

        def is_silent() -> bool:
            self.listen()
            pats = [at for lines, at in self.heard if "WATCHDOG=1" in lines]
            return time.monotonic() - max([start, *pats]) > patience

        wait_until(is_silent, "the watchdog is not patted any more", timeout=timeout)
