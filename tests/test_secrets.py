"""References to secrets, and that no sentence ever shows what they lead to."""

import os
from pathlib import Path

import pytest

from routerd.secrets import Secret, SecretError, is_reference, read_reference

CANARY = "hunter2-canary"


def write(path: Path, content: bytes, *, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(CANARY)

    assert CANARY not in f"{secret} {secret!r} {[secret]} {vars(type(secret))}"
    assert secret.reveal() == CANARY
    assert secret == Secret(CANARY)
    assert secret != CANARY
    assert hash(secret) == hash(Secret(CANARY))


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_is_read_and_one_newline_stripped(tmp_path: Path, end: str) -> None:
    write(tmp_path / "key", f" {CANARY}\n{end}".encode() if end else f" {CANARY}".encode())

    found = read_reference({"file": "key"}, folder=tmp_path)

    assert found.secret.reveal() == (f" {CANARY}\n" if end else f" {CANARY}")
    assert found.warning == ""
    assert CANARY not in found.origin


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_is_a_warning(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "key", CANARY.encode(), mode=mode)

    found = read_reference({"file": str(path)}, folder=Path("/"))

    assert found.warning == f"{path} may be read by others (mode {mode:04o}); do `chmod 600 {path}`"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "which is empty"),
        (b"\n", "which is empty"),
        (b"\r\n", "which is empty"),
        (b"a\0b", "holds a NUL byte"),
        (CANARY.encode() + b"\xff", "not UTF-8 at byte 14"),
        (b"x" * 70_000, "over 64 KiB"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    write(tmp_path / "key", content)

    with pytest.raises(SecretError, match=reason) as caught:
        read_reference({"file": "key"}, folder=tmp_path)

    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="gone, which can't be read: No such file"):
        read_reference({"file": "gone"}, folder=tmp_path)
    with pytest.raises(SecretError, match="which is no file"):
        read_reference({"file": "."}, folder=tmp_path)


def test_a_pipe_that_nobody_writes_to_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(SecretError, match="which is no file"):
        read_reference({"file": "pipe"}, folder=tmp_path)


def test_an_environment_variable_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTERD_TEST_KEY", CANARY)

    found = read_reference({"env": "ROUTERD_TEST_KEY"}, folder=Path())

    assert found.secret.reveal() == CANARY
    assert found.origin == "the value of $ROUTERD_TEST_KEY"


@pytest.mark.parametrize(
    ("value", "reason"), [("", "is empty"), (None, "is not set"), ("\udcff", "is not UTF-8")]
)
def test_an_unusable_environment_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str | None, reason: str
) -> None:
    monkeypatch.delenv("ROUTERD_TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("ROUTERD_TEST_KEY", value)

    with pytest.raises(SecretError, match=f"ROUTERD_TEST_KEY, which {reason}"):
        read_reference({"env": "ROUTERD_TEST_KEY"}, folder=Path())


def test_a_credential_is_taken_from_the_folder_that_systemd_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "mqtt", CANARY.encode(), mode=0o444)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    found = read_reference({"credential": "mqtt"}, folder=Path("/nowhere"))

    assert (found.secret.reveal(), found.warning) == (CANARY, "")


def test_a_credential_without_systemd_or_with_a_path_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SecretError, match=r"\$CREDENTIALS_DIRECTORY is not set"):
        read_reference({"credential": "mqtt"}, folder=Path())

    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name in ("../shadow", ".."):
        with pytest.raises(SecretError, match="write only its name"):
            read_reference({"credential": name}, folder=Path())


@pytest.mark.parametrize(
    "reference",
    [{}, {"file": "a", "env": "B"}, {"path": "a"}, {"file": 1}, {"env": ""}, {"file": "\0"},
     {"env": "A=B"}],
)  # fmt: skip
def test_a_reference_that_names_nothing_is_refused(reference: dict[str, object]) -> None:
    with pytest.raises(SecretError):
        read_reference(reference, folder=Path())


def test_only_a_table_with_one_known_key_is_a_reference() -> None:
    assert is_reference({"env": "A"})
    assert not is_reference({"env": "A", "file": "b"})
    assert not is_reference({"type": "zstd"})
    assert not is_reference("env")
