"""From a file to TOML values with their lines, or to a sentence on why not."""

import os
import re
import select
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli

from routerd.config.lines import Lines, TooDeepError, index_lines
from routerd.config.syntax import syntax_problem
from routerd.errors import ConfigError
from routerd.problems import Problem

LONGEST = 16 << 20
"""Bytes; ten thousand routes are 2 MiB."""

PIPE_PATIENCE = 10.0
"""Seconds for whatever writes the table into a pipe, as in `routerd check <(...)`."""

_TOO_DEEP = "lists or tables are nested too deeply; write fewer levels"


@dataclass(frozen=True)
class Document:
    """A file that is TOML."""

    values: Mapping[str, object]
    lines: Lines


def read_document(path: Path) -> Document:
    """The values of a TOML file and their lines.

    Raises:
        ConfigError: with one problem: it can't be read, or its first syntax error.
    """
    text = _decode(_read(path))
    try:
        values = tomli.loads(text)
        lines = index_lines(text)
    except tomli.TOMLDecodeError as exc:
        raise ConfigError([syntax_problem(exc)]) from None
    except TooDeepError as exc:
        raise _refused(_TOO_DEEP, line=exc.line) from None
    except RecursionError:
        raise _refused(_TOO_DEEP) from None
    except ValueError:
        # Python's own limit on the digits of a number; TOMLDecodeError went above.
        long = re.search(r"\d{4000}", text)
        line = text.count("\n", 0, long.start()) + 1 if long else 0
        raise _refused(
            "a number here has thousands of digits; write a shorter one", line=line
        ) from None
    return Document(values, lines)


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise _refused("is a directory; name the TOML file in it")
        if path.is_fifo():
            raw = _read_pipe(path)
        else:
            with path.open("rb") as file:
                raw = file.read(LONGEST + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "no legal path"
        raise _refused(f"can't be read: {reason}; name a file that routerd may read") from exc
    if len(raw) > LONGEST:
        raise _refused("is over 16 MiB; a routing table is not that large, is it another file?")
    return raw


def _read_pipe(path: Path) -> bytes:
    """What comes through a pipe; one that nobody writes to doesn't hold us for ever."""
    raw = bytearray()
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as pipe:
        while len(raw) <= LONGEST:
            readable, _, _ = select.select([pipe], [], [], PIPE_PATIENCE)
            if not readable:
                raise _refused(
                    f"is a pipe that says nothing for {PIPE_PATIENCE:g} s; name a file, or start "
                    "what writes to it"
                )
            part = pipe.read(65_536)
            if not part:
                break
            raw += part
    return bytes(raw)


def _decode(raw: bytes) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise _refused("begins with a byte order mark; save the file as UTF-8 without one", line=1)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _refused("is UTF-16; save the file as UTF-8", line=1)
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise _refused(
            f"byte 0x{raw[exc.start]:02x} is not UTF-8; save the file as UTF-8", line=line
        ) from None


def _refused(sentence: str, *, line: int = 0) -> ConfigError:
    return ConfigError([Problem(line, sentence)])
