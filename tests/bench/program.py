"""The load programs of this package as child processes that are talked to line by line."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.process import Child
from tests.rig.waiting import wait_until

_PROJECT = Path(__file__).parent.parent.parent
Answer = dict[str, float]


class Program:
    """`python -m tests.bench.NAME ARGUMENTS`, from `with` to its end."""

    def __init__(self, name: str, *arguments: float | str) -> None:
        self._name = name
        self._arguments = arguments
        self._temporary = tempfile.TemporaryDirectory(prefix="bench-")
        self._lines_read = 0

    def __enter__(self) -> Self:
        self.child = Child(
            [sys.executable, "-m", f"tests.bench.{self._name}", *map(str, self._arguments)],
            name=self._name,
            folder=Path(self._temporary.name),
            env={"PYTHONPATH": str(_PROJECT)},
            stdin=subprocess.PIPE,
        )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.child.kill()
        if self.child.process.stdin is not None:
            self.child.process.stdin.close()
        self._temporary.cleanup()

    def go(self) -> None:
        """Has it begin; all of them set themselves up first."""
        stdin = self.child.process.stdin
        assert stdin is not None
        stdin.write(b"go\n")
        stdin.flush()

    def answer(self, *, timeout: float) -> Answer:
        """Its next line, a JSON object of numbers.

        Raises:
            RuntimeError: it ended without one; says its last words.
            TimeoutError: there was none within `timeout` seconds.
        """
        wait_until(
            lambda: self._has_line() or not self.child.is_running,
            f"{self._name} says something",
            timeout=timeout,
        )
        if not self._has_line():
            raise RuntimeError(f"{self._name} ended: {self.child.stderr[-500:].strip()}")
        self._lines_read += 1
        found = json.loads(self.child.stdout.split("\n")[self._lines_read - 1])
        assert isinstance(found, dict)
        return found

    def _has_line(self) -> bool:
        return self.child.stdout.count("\n") > self._lines_read


def say(**values: float) -> None:
    """The other end of `answer`: for the programs themselves."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def wait_for_go() -> None:
    """The other end of `go`. The program ends with the one that started it."""
    if not sys.stdin.readline():
        raise SystemExit(1)
