"""Where log lines go: to stderr, through a thread, so that no log line ever holds the event loop.

A pipe whose reader sleeps blocks whoever writes to it. So lines wait in a bounded queue for a
thread of their own; what doesn't fit is dropped and counted. What a line looks like is in
`log_lines.py`.
"""

import logging
import os
import queue
import select
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal

from routerd.log_lines import LogFormat, renderer
from routerd.terminal import paint_for

logger = logging.getLogger(__name__)

LogLevel = Literal["debug", "info", "warning", "error"]

STDERR: Final = 2
_QUEUE_LINES = 10_000  # a few MB at most; an hour of a restless daemon
_FLUSH_SECONDS = 1.0


def configure(
    log_format: LogFormat | None = None, level: LogLevel = "info", *, fd: int = STDERR
) -> None:
    """Sends the log of routerd, and the warnings of its libraries, to stderr.

    At exit the lines still waiting are written, for at most a second. Called again, it
    replaces what the last call set up.

    Args:
        log_format: None: `journal` when stderr is the journal, else `text`.
        level: the least that is logged of routerd; of libraries never less than warnings.
        fd: what to write to.
    """
    _keep_open(fd)
    render = renderer(
        log_format or default_format(fd), is_terminal=os.isatty(fd), paint=paint_for(fd)
    )
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, LineHandler)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(LineHandler(render, fd=fd))
    least = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(least, logging.WARNING))
    logging.getLogger("routerd").setLevel(least)
    logging.captureWarnings(capture=True)
    _catch_what_nobody_caught()


def default_format(fd: int = STDERR) -> LogFormat:
    """`journal` when `fd` is connected to the journal, as systemd says it, else `text`."""
    try:
        found = os.fstat(fd)
    except OSError:
        return "text"
    is_journal = os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
    return "journal" if is_journal else "text"


class LineHandler(logging.Handler):
    """Renders records where they are logged and writes them from a thread.

    Attributes:
        dropped: lines that nobody will see, because the queue was full or stderr is gone.
    """

    def __init__(
        self,
        render: Callable[[logging.LogRecord], str],
        *,
        fd: int = STDERR,
        capacity: int = _QUEUE_LINES,
    ) -> None:
        super().__init__()
        self.dropped = 0
        self._reported = 0
        self._render = render
        self._fd = fd
        # Not `queue.Queue`: a destructor that logs inside its `put` would wait for itself.
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._capacity = capacity
        # A daemon, since a write that never returns must not hold up the exit.
        self._thread = threading.Thread(target=self._write_lines, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queues the record's line. Never blocks."""
        if self._lines.qsize() < self._capacity:
            self._lines.put(self._render(record))
        else:
            self.dropped += 1

    def close(self) -> None:
        """Waits until all is written, at most a second. `logging` calls it at exit."""
        super().close()
        self._lines.put(None)
        self._thread.join(_FLUSH_SECONDS)

    def _write_lines(self) -> None:
        while (line := self._lines.get()) is not None:
            self._write(line)
            if self.dropped != self._reported:
                self._report_dropped()

    def _report_dropped(self) -> None:
        """Says once, as soon as lines go out again, how many did not."""
        count, self._reported = self.dropped - self._reported, self.dropped
        record = logging.LogRecord(
            __name__, logging.WARNING, __file__, 0, "log lines dropped count=%d", (count,), None
        )
        self._write(self._render(record))

    def _write(self, line: str) -> None:
        try:
            _write_all(self._fd, f"{line}\n".encode())
        except OSError:  # closed for good, or its disk is full; the daemon goes on
            self.dropped += 1


def _catch_what_nobody_caught() -> None:
    """Python's own reports of bugs are lines of the log, too: whoever reads it reads one format."""

    def in_main(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
        logger.critical("bug in routerd, which ends it", exc_info=(kind, exc, trace))

    def in_thread(found: threading.ExceptHookArgs) -> None:
        name = found.thread.name if found.thread is not None else ""
        logger.error("bug in a thread thread=%s", name, exc_info=found.exc_value)

    def in_passing(found: "sys.UnraisableHookArgs") -> None:
        logger.error("bug in passing object=%r", repr(found.object), exc_info=found.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = in_main, in_thread, in_passing


def _write_all(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # another process that shares it made it non-blocking
            select.select([], [fd], [])


def _keep_open(fd: int) -> None:
    """Takes the number of a closed stderr, lest the next socket get it and be logged into."""
    try:
        os.fstat(fd)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != fd:
            os.dup2(nowhere, fd)
            os.close(nowhere)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for all of the process
