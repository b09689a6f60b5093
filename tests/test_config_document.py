"""Files that are no TOML: one sentence each, with the line where reading ended."""

import os
import threading
from pathlib import Path

import pytest

from routerd.config import document
from routerd.config.document import LONGEST, read_document
from routerd.errors import ConfigError
from routerd.problems import Problem


def refusal_of(path: Path) -> Problem:
    with pytest.raises(ConfigError) as refused:
        read_document(path)
    (problem,) = refused.value.problems
    return problem


def refusal(folder: Path, raw: bytes) -> Problem:
    path = folder / "routes.toml"
    path.write_bytes(raw)
    return refusal_of(path)


def test_a_file_is_values_and_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "routes.toml"
    path.write_bytes("[a]\r\nb = 'ä'\r\n".encode())

    found = read_document(path)

    assert found.values == {"a": {"b": "ä"}}
    assert found.lines.find(("a", "b")) == 2


def test_a_missing_file_and_a_directory_say_so(tmp_path: Path) -> None:
    assert refusal_of(tmp_path / "none.toml") == Problem(
        0, "can't be read: No such file or directory; name a file that routerd may read"
    )
    assert refusal_of(tmp_path) == Problem(0, "is a directory; name the TOML file in it")
    assert refusal_of(tmp_path / "a\0b") == Problem(
        0, "can't be read: no legal path; name a file that routerd may read"
    )


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "routes.toml"
    os.mkfifo(path)
    text = "a = 1\n" + "#" * 200_000
    writer = threading.Thread(target=lambda: path.write_text(text))
    writer.start()
    assert read_document(path).values == {"a": 1}
    writer.join()


def test_a_pipe_that_nobody_writes_to_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "PIPE_PATIENCE", 0.01)
    path = tmp_path / "routes.toml"
    os.mkfifo(path)
    assert refusal_of(path).sentence.startswith("is a pipe that says nothing for 0.01 s; ")


def test_a_device_is_read_like_a_file() -> None:
    assert not read_document(Path("/dev/null")).values
    assert refusal_of(Path("/dev/zero")).sentence.startswith("is over 16 MiB")


def test_a_problem_of_the_whole_file_is_shown_without_a_line() -> None:
    assert Problem(0, "is empty").shown("routes.toml") == "routes.toml: is empty"
    assert Problem(3, "is empty").shown("routes.toml") == "routes.toml:3: is empty"


@pytest.mark.parametrize(
    ("raw", "line", "part"),
    [
        (b"a = 1\nb = '\xff'\n", 2, "byte 0xff is not UTF-8"),
        (b"\xff\xfea\x00", 1, "is UTF-16"),
        (b"\xef\xbb\xbfa = 1", 1, "byte order mark"),
        (b"a = " + b"[" * 5000, None, "nested too deeply"),
        (b"a = 1\nb = " + b"9" * 5000, 2, "thousands of digits"),
        (b'a = "x\ty\x01"\n', 1, "can't stand here"),
        (b"a = 2020-99-99\n", 1, "not TOML"),
        (b"a = {b = 1\n", 1, "not closed"),
        (b"[a\n", 1, "header"),
        (b"= 1\n", 1, "needs quotes"),
        (b'a = "\\u12"\n', 1, "hex digits"),
        (b"a = {b = 1}\n[a.c]\n", 2, "[a.c]"),
        (b'a = """\nx', 2, "no closing quote"),
        (b"a = 1\nb = '''x\ny\n", 3, "no closing quotes"),
        (b"a = 1\nb = 'x\nc = 2\n", 2, "no closing quote"),
        ("a = [“x”]\n".encode(), 1, "a curly quote “"),
        ("“a” = 1\n".encode(), 1, "a curly quote “"),
        ("a = ['x\u2019, # y\n'y']\n".encode(), 1, "a curly quote \u2019"),
        ('a = "said “x” to me\n'.encode(), 1, "no closing quote"),
        ("a = 1\u00a0\n".encode(), 1, "a non-breaking space"),
        ("a = 1\n\u3000b = 1\n".encode(), 2, "U+3000, ideographic space"),
        (b"a = 'x # y\nb = 'y'\n", 1, "a text on this line has no closing quote"),
        (b"a = 'x\x01'\n", 1, "can't stand here"),
        ("größe = 1\n".encode(), 1, "a key needs"),
        (b"route = []\n[[route]]\n", 2, "complete where it stands"),
        (b"[ route ]\n[[ route ]]\n", 1, "[route] must be written [[route]]"),
        (b"[route]\n[route.when]\na = 1\n[route.when]\n", 4, "[route.when] is written twice"),
    ],
)
def test_what_is_no_toml_is_one_sentence(
    tmp_path: Path, raw: bytes, line: int | None, part: str
) -> None:
    problem = refusal(tmp_path, raw)

    assert part in problem.sentence
    assert line is None or problem.line == line


def test_a_file_that_is_no_table_at_all_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "routes.toml"
    with path.open("wb") as file:
        file.truncate(LONGEST + 1)

    assert refusal_of(path).sentence.startswith("is over 16 MiB")
