"""A child process in a group of its own: what every broker and daemon of the rig is.

Not here: what the programs are and how they are set up.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.rig import reaper
from tests.rig.waiting import wait_until

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Child:
    """A running program; its output goes to files, so that it can never stand on a full pipe.

    Args:
        command: the program and its arguments.
        name: what messages call it, and the stem of its two log files.
        folder: where the log files lie: `<name>.out` and `<name>.err`. They are appended to.
        env: added to this process's environment.
        stdin: PIPE for a program that is talked to.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        name: str,
        folder: Path,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.name = name
        self._out = folder / f"{name}.out"
        self._err = folder / f"{name}.err"
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=stdin,
                stdout=out,
                stderr=err,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self.pid = self.process.pid
        self._is_watched = True
        reaper.watch(self.pid)

    @property
    def is_running(self) -> bool:
        """False from its end on."""
        return self.process.poll() is None

    @property
    def stdout(self) -> str:
        """All that it and its forerunners of the same name and folder have written."""
        return self._out.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """As `stdout`."""
        return self._err.read_text(errors="replace")

    @property
    def cpu_seconds(self) -> float:
        """User and system time that the process itself has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    @property
    def resident_bytes(self) -> int:
        """Its memory now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES

    def wait_ready(self, is_ready: Callable[[], bool], *, timeout: float) -> None:
        """Blocks until `is_ready()`.

        Raises:
            RuntimeError: the program ended instead; says its last lines.
            TimeoutError: neither happened within `timeout` seconds.
        """
        wait_until(
            lambda: not self.is_running or is_ready(), f"{self.name} is ready", timeout=timeout
        )
        if not self.is_running:
            last = (self.stdout + self.stderr)[-2000:]
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {last}")

    def wait(self, *, timeout: float = 10.0) -> int:
        """Its exit code (negative: the signal that killed it), once it has ended by itself.

        Raises:
            subprocess.TimeoutExpired: it did not within `timeout` seconds.
        """
        code = self.process.wait(timeout)
        self._clear_away()
        return code

    def terminate(self, *, timeout: float = 10.0) -> int:
        """SIGTERM, and SIGKILL to the whole group if that doesn't end it; its exit code.

        A frozen one is thawed for it.
        """
        self.signal(signal.SIGTERM)
        self.thaw()
        try:
            return self.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.returncode

    def kill(self) -> None:
        """SIGKILL to the whole group; returns when it is gone."""
        self._clear_away()
        self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP: the process stands, its connections stay."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process; nothing if it has ended."""
        self.process.send_signal(number)

    def _clear_away(self) -> None:
        """Kills what is left of the group, grandchildren included; only once: pids come again."""
        if self._is_watched:
            self._is_watched = False
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
            reaper.forget(self.pid)
