"""Where lines go: through a thread, never in the way, and out before the exit."""

import contextlib
import json
import logging
import os
import pty
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from routerd.log import LineHandler, configure, default_format

ROOT = Path(__file__).parents[1]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: its reading and its writing end."""
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(fd)


@pytest.fixture
def clean_logging() -> Iterator[None]:
    """Takes back what `configure` does to the whole process."""
    root, ours = logging.getLogger(), logging.getLogger("routerd")
    levels = root.level, ours.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    for handler in [each for each in root.handlers if isinstance(each, LineHandler)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(capture=False)


def plain(record: logging.LogRecord) -> str:
    return record.getMessage()


def say(handler: LineHandler, *texts: str) -> None:
    for text in texts:
        handler.emit(logging.LogRecord("routerd", logging.INFO, __file__, 1, text, None, None))


def close_all(fd: int) -> None:
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, LineHandler):
            handler.close()
    os.close(fd)


def fill(writing: int) -> None:
    """Fills a pipe to the brim and leaves it blocking, as a reader that sleeps would."""
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"\n" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)


def read_to_end(reading: int) -> str:
    with os.fdopen(os.dup(reading), "rb") as file:
        return file.read().decode()


def run(code: str, *, stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=stderr)


# --- the handler


def test_lines_come_out_whole_and_in_order(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    handler = LineHandler(plain, fd=writing)
    say(handler, *(f"line {number}" for number in range(200)))
    handler.close()
    os.close(writing)
    assert read_to_end(reading).splitlines() == [f"line {number}" for number in range(200)]


def test_a_stuck_pipe_holds_nobody_up_and_what_did_not_fit_is_told(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    fill(writing)
    handler = LineHandler(plain, fd=writing, capacity=10)
    say(handler, *(f"line {number}" for number in range(100)))
    assert 89 <= handler.dropped <= 90  # the thread may hold one beside the queue
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.extend(read_to_end(reading).split()))
    reader.start()
    handler.close()
    os.close(writing)
    reader.join(5)
    assert " ".join(seen).startswith("line 0 log lines dropped count=")
    assert sum(word == "line" for word in seen) == 100 - handler.dropped


@pytest.mark.slow
def test_a_stuck_pipe_holds_up_the_end_for_a_second_at_most(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    fill(writing)
    handler = LineHandler(plain, fd=writing)
    say(handler, "too late")
    closed = threading.Thread(target=handler.close)
    closed.start()
    closed.join(5)
    assert not closed.is_alive()
    # Else its thread would write to whatever gets these file descriptors next.
    while b"too late" not in os.read(reading, 1 << 20):
        pass
    handler.close()


def test_a_reader_that_went_away_is_counted_and_survived(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    handler = LineHandler(plain, fd=writing)
    say(handler, "one", "two")
    handler.close()
    assert handler.dropped >= 2


def test_a_non_blocking_pipe_is_waited_for(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    handler = LineHandler(plain, fd=writing)
    text = "x" * 300_000  # more than a pipe holds
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(read_to_end(reading)))
    reader.start()
    say(handler, text, text)
    handler.close()
    os.close(writing)
    reader.join(5)
    assert seen == [f"{text}\n{text}\n"]


def test_a_destructor_may_log_while_a_line_is_queued(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    handler = LineHandler(plain, fd=writing)

    class Talkative:
        def __str__(self) -> str:
            say(handler, "inner")
            return "outer"

    handler.handle(
        logging.LogRecord("routerd", logging.INFO, __file__, 1, "%s", (Talkative(),), None)
    )
    handler.close()
    os.close(writing)
    assert read_to_end(reading).splitlines() == ["inner", "outer"]


# --- configure


@pytest.mark.usefixtures("clean_logging")
def test_json_is_one_object_a_line(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    configure("json", fd=writing)
    logging.getLogger("routerd.daemon").info("ready ws=%s admin=%s", "127.0.0.1:1", "127.0.0.1:2")
    close_all(writing)
    found = json.loads(read_to_end(reading))
    assert (found["event"], found["ws"], found["admin"]) == ("ready", "127.0.0.1:1", "127.0.0.1:2")


@pytest.mark.usefixtures("clean_logging")
def test_the_level_is_ours_and_libraries_only_warn(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    configure("text", "debug", fd=writing)
    logging.getLogger("routerd.x").debug("ours")
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("theirs")
    configure("text", "error", fd=writing)
    logging.getLogger("routerd.x").warning("too little")
    logging.getLogger("library").warning("too little as well")
    logging.getLogger("routerd.x").error("last")
    close_all(writing)
    text = read_to_end(reading)
    assert [line.split()[2] for line in text.splitlines()] == ["ours", "theirs", "last"]


@pytest.mark.usefixtures("clean_logging")
def test_configured_twice_it_says_everything_once(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    configure("text", fd=writing)
    configure("text", fd=writing)
    logging.getLogger("routerd").info("once")
    close_all(writing)
    assert read_to_end(reading).count("once") == 1


@pytest.mark.usefixtures("clean_logging")
def test_warnings_of_libraries_are_lines_too(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    configure("json", fd=writing)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old\nways", DeprecationWarning, stacklevel=1)
    close_all(writing)
    found = json.loads(read_to_end(reading))
    assert found["logger"] == "py.warnings"
    assert "old\nways" in found["message"].replace("\\n", "\n")


def test_the_journal_is_known_by_its_stream(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _reading, writing = pipe
    found = os.fstat(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    assert default_format(writing) == "journal"
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + 1}")
    assert default_format(writing) == "text"
    monkeypatch.delenv("JOURNAL_STREAM")
    assert default_format(writing) == "text"


def test_a_closed_stderr_is_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    assert default_format(fd=987) == "text"


@pytest.mark.usefixtures("clean_logging")
def test_a_terminal_gets_tracebacks_it_can_read() -> None:
    mine, theirs = pty.openpty()
    configure(fd=theirs)
    try:
        raise ValueError("no")  # noqa: TRY301 - to have a traceback
    except ValueError:
        logging.getLogger("routerd").exception("fell route=%s", "a")
    for handler in logging.getLogger().handlers:
        handler.close()
    text = os.read(mine, 65536).decode()
    os.close(mine)
    os.close(theirs)
    assert "fell route=a\r\n    Traceback" in text
    assert text.endswith("    ValueError: no\r\n")


@pytest.mark.usefixtures("clean_logging")
@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_has_colours_unless_they_are_not_wanted(
    monkeypatch: pytest.MonkeyPatch, no_color: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    mine, theirs = pty.openpty()
    configure("text", fd=theirs)
    logging.getLogger("routerd").warning("fell")
    for handler in logging.getLogger().handlers:
        handler.close()
    text = os.read(mine, 65536).decode()
    os.close(mine)
    os.close(theirs)
    assert ("\x1b[33mWARNING\x1b[0m" in text) == (not no_color)
    assert "WARNING" in text


# --- whole processes

LOGS_ONCE = """
import logging
from routerd.log import configure
configure("json")
logging.getLogger("routerd").info("last words n=%d", 7)
"""


@pytest.mark.slow
def test_the_last_words_are_written_at_exit() -> None:
    process = run(LOGS_ONCE, stderr=subprocess.PIPE)
    _out, err = process.communicate(timeout=20)
    assert json.loads(err)["n"] == 7
    assert process.returncode == 0


@pytest.mark.slow
def test_a_process_with_a_stuck_stderr_works_and_ends(pipe: tuple[int, int]) -> None:
    _reading, writing = pipe
    fill(writing)
    code = LOGS_ONCE + "for n in range(30_000): logging.getLogger('routerd').info('n=%d', n)\n"
    process = run(code, stderr=writing)
    assert process.wait(timeout=20) == 0


@pytest.mark.slow
def test_a_closed_stderr_is_never_another_file() -> None:
    """Else the next socket would get number 2, and the log would be written to a broker."""
    code = (
        LOGS_ONCE
        + "import socket, sys\nones, others = socket.socketpair()\n"
        + "logging.getLogger('routerd').info('more')\nlogging.shutdown()\n"
        + "print(2 in (ones.fileno(), others.fileno()), file=sys.stdout)\n"
        + "print('to nobody', file=sys.stderr)\n"
    )
    shell = ["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code]
    done = subprocess.run(shell, cwd=ROOT, stdout=subprocess.PIPE, timeout=20, check=True)
    assert done.stdout == b"False\n"


WORDS = ["in a destructor", "in a thread", "of all"]


@pytest.mark.slow
@pytest.mark.parametrize("log_format", ["text", "json", "journal"])
def test_what_nobody_caught_is_a_line_like_any_other(log_format: str) -> None:
    code = f"""
import threading
from routerd.log import configure
configure({log_format!r})
class Broken:
    def __del__(self):
        raise ValueError("in a destructor")
Broken()
def fall():
    raise ValueError("in a thread")
thread = threading.Thread(target=fall, name="poll")
thread.start()
thread.join()
raise ValueError("of all")
"""
    process = run(code, stderr=subprocess.PIPE)
    _out, err = process.communicate(timeout=20)
    lines = err.decode().splitlines()
    assert process.returncode == 1
    assert [[word for word in WORDS if word in line] for line in lines] == [[w] for w in WORDS]
    match log_format:
        case "json":
            assert all(json.loads(line)["traceback"] for line in lines)
        case "journal":
            assert all(line.startswith(("<2>", "<3>")) for line in lines)
