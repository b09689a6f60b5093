"""Files that say who may come in: read at load, at the start, and again on a reload."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from routerd.errors import Rejected

LONGEST = 4 << 20
"""Bytes; twenty thousand static tokens."""

Read = TypeVar("Read")


class BadFile(Rejected):
    """A file is not what it should be.

    Attributes:
        sentences: each thing that is wrong, beginning with the file's name.
    """

    def __init__(self, *sentences: str) -> None:
        super().__init__("; and ".join(sentences))
        self.sentences = sentences


def read_file(path: Path) -> bytes:
    """The bytes of a regular file.

    Raises:
        BadFile: it can't be read.
    """
    try:
        # Never waits for a writer, should this be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise BadFile(
            f"{path} can't be read: {exc.strerror}; name a file that routerd may read"
        ) from exc
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BadFile(f"{path} is no file; name a file")
        with open(descriptor, "rb", closefd=False) as file:
            raw = file.read(LONGEST + 1)
    finally:
        os.close(descriptor)
    if len(raw) > LONGEST:
        raise BadFile(f"{path} is over 4 MiB; name a file of keys or tokens alone")
    if not raw.strip():
        raise BadFile(f"{path} is empty; put something into it")
    return raw


def exposure(path: Path, *, is_secret: bool) -> str:
    """What is wrong with who may read or change a file, as a warning; empty if nothing is."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return ""
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{path} may be changed by others (mode {mode:04o}); do `chmod go-w {path}`"
    if is_secret and mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"{path} may be read by others (mode {mode:04o}); do `chmod 600 {path}`"
    return ""


@dataclass
class Held(Generic[Read]):
    """What was read from a file; kept when the file is bad later.

    Attributes:
        read: raises BadFile.
        value: of the last time that it was good.
    """

    read: Callable[[], Read]
    value: Read = field(init=False)

    def __post_init__(self) -> None:
        self.value = self.read()

    def reload(self) -> tuple[str, ...]:
        """Reads it again, all or nothing; gives what is wrong with it."""
        try:
            self.value = self.read()
        except BadFile as exc:
            return exc.sentences
        return ()
