"""Values that must never be seen, and where the table takes them from."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from routerd.errors import RouterdError

LONGEST = 1 << 16
"""Bytes; a larger file is no password."""
KINDS = ("file", "env", "credential")
"""The keys of `{ file = "/path" }`, `{ env = "NAME" }` and `{ credential = "name" }`."""


class Secret:
    """A string that shows itself as `***` everywhere but where it is revealed on purpose."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the one library call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


class SecretError(RouterdError):
    """A reference leads to no usable value; the sentence never shows one."""


@dataclass(frozen=True)
class Found:
    """What a reference led to.

    Attributes:
        origin: where it came from, in words that sentences may show.
        warning: what is wrong with how it is kept; empty if nothing is.
    """

    secret: Secret
    origin: str
    warning: str = ""


def is_reference(value: object) -> bool:
    """Whether a value of the table is `{ file | env | credential = ... }` and nothing else."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in KINDS


def read_reference(reference: Mapping[str, object], *, folder: Path) -> Found:
    """The value that `{ file | env | credential = "..." }` stands for, one newline stripped.

    Args:
        reference: as the table has it.
        folder: what a relative file path starts from.

    Raises:
        SecretError: there is none, or nothing that can be used.
    """
    kinds = [kind for kind in KINDS if kind in reference]
    if len(kinds) != 1 or len(reference) != 1:
        raise SecretError(
            'must be a table with one key, { file = "/path" }, { env = "NAME" } or '
            '{ credential = "name" }'
        )
    kind = kinds[0]
    name = reference[kind]
    if not isinstance(name, str) or not name or "\0" in name:
        raise SecretError(f'needs a text behind `{kind}`, as in {{ {kind} = "..." }}')
    match kind:
        case "file":
            return _from_file(folder / name)
        case "env":
            return _from_environment(name)
        case _:
            return _from_credential(name)


def _from_file(path: Path) -> Found:
    value, mode = _read(path)
    warning = ""
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        warning = f"{path} may be read by others (mode {mode:04o}); do `chmod 600 {path}`"
    return Found(Secret(value), f"the value in {path}", warning)


def _from_environment(name: str) -> Found:
    if "=" in name:
        raise SecretError("names an environment variable with `=` in it; there can be none")
    value = os.environ.get(name)
    if value is None:
        raise SecretError(
            f"takes the environment variable {name}, which is not set; "
            "set it where routerd is started"
        )
    secret = Secret(_checked(value, f"the environment variable {name}"))
    return Found(secret, f"the value of ${name}")


def _from_credential(name: str) -> Found:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise SecretError(
            f"takes the credential `{name}`, but $CREDENTIALS_DIRECTORY is not set; add "
            f"LoadCredential={name}:/path to the unit of systemd"
        )
    if "/" in name or name in {".", ".."}:
        raise SecretError("names a credential with a path; write only its name")
    value, _ = _read(Path(folder) / name)
    return Found(Secret(value), f"the value of the credential `{name}`")


def _read(path: Path) -> tuple[str, int]:
    """The text of a regular file, and its permission bits."""
    try:
        # Never waits for a writer, should this be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise SecretError(
            f"takes {path}, which can't be read: {exc.strerror}; name a file that routerd may read"
        ) from exc
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise SecretError(f"takes {path}, which is no file; name a file")
        with open(descriptor, "rb", closefd=False) as file:
            raw = file.read(LONGEST + 1)
    finally:
        os.close(descriptor)
    if len(raw) > LONGEST:
        raise SecretError(f"takes {path}, which is over 64 KiB; name the file of the value alone")
    try:
        value = raw.decode()
    except UnicodeDecodeError as exc:
        # From None: the exception shows the bytes.
        raise SecretError(
            f"takes {path}, which is not UTF-8 at byte {exc.start}; write it so"
        ) from None
    return _checked(value, str(path)), stat.S_IMODE(mode)


def _checked(value: str, where: str) -> str:
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise SecretError(f"takes {where}, which is empty; put the value into it")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise SecretError(f"takes {where}, which is not UTF-8; write it so")
    if "\0" in value:
        raise SecretError(f"takes {where}, which holds a NUL byte; remove it")
    return value
