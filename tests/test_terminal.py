"""What a terminal takes: lines that fit, colours where they are wanted, nothing that acts on it."""

import os
import pty
import termios
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.terminal import (
    BOLD,
    MOST_COLUMNS,
    coloured,
    columns_of,
    paint_for,
    plain,
    printable,
    wrapped,
)


@pytest.fixture
def terminal() -> Iterator[int]:
    mine, theirs = pty.openpty()
    yield theirs
    os.close(mine)
    os.close(theirs)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def wrap(text: str, *, columns: int = 20, lead: str = "to  ", indent: int = 4) -> list[str]:
    return wrapped(text, columns=columns, lead=lead, indent=indent)


def test_what_fits_stays_on_its_line() -> None:
    assert wrap("kafka:a") == ["to  kafka:a"]
    assert wrap("log:a  b ") == ["to  log:a  b "]
    assert wrap("") == ["to  "]


def test_lines_break_at_spaces() -> None:
    assert wrap("one two three four five") == ["to  one two three", "    four five"]


def test_a_word_that_fits_on_a_line_of_its_own_is_not_broken() -> None:
    assert wrap("one sixteen/letters!") == ["to  one", "    sixteen/letters!"]


def test_a_longer_word_breaks_behind_a_slash() -> None:
    assert wrap("mqtt:sensors/{device}/temperature") == [
        "to  mqtt:sensors/",
        "    {device}/",
        "    temperature",
    ]


def test_a_word_without_slashes_breaks_where_the_line_ends() -> None:
    assert wrap("x" * 40) == ["to  " + "x" * 16, "    " + "x" * 16, "    " + "x" * 8]


def test_a_lead_is_never_broken() -> None:
    lead = "/a/very/long/path/to.toml:3: "
    assert wrap("unknown key", lead=lead) == [lead.rstrip(), "    unknown key"]


def test_wide_and_combining_characters_count_as_they_are_shown() -> None:
    assert wrap("計測計測計測計測計") == ["to  計測計測計測計測", "    計"]
    assert wrap("e\N{COMBINING ACUTE ACCENT}" * 16) == ["to  " + "e\N{COMBINING ACUTE ACCENT}" * 16]


@given(st.text(), st.integers(1, 40))
def test_nothing_is_left_out_and_nothing_is_too_long(text: str, columns: int) -> None:
    found = wrap(text, columns=columns + 4)
    assert "".join(found).replace(" ", "") == "to" + text.replace(" ", "")
    assert all(len(line) <= max(2 * columns, 6) + 4 for line in found if line.isascii())


def test_nothing_acts_on_the_terminal() -> None:
    assert printable("a\x1b[31m\n\u202e\udcffé計") == "a\\x1b[31m\\n\\u202e\\udcffé計"


def test_colours_are_for_terminals(terminal: int) -> None:
    assert paint_for(terminal) is coloured
    assert coloured("a", BOLD) == "\x1b[1ma\x1b[0m"
    reading, writing = os.pipe()
    assert paint_for(writing) is plain
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("name", "value", "is_coloured"),
    [("NO_COLOR", "1", False), ("NO_COLOR", "", True), ("TERM", "dumb", False)],
)
def test_who_wants_no_colours_says_so(
    terminal: int, monkeypatch: pytest.MonkeyPatch, name: str, value: str, *, is_coloured: bool
) -> None:
    monkeypatch.setenv(name, value)
    assert (paint_for(terminal) is coloured) == is_coloured


def test_without_a_kind_of_terminal_there_are_no_colours(
    terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERM")
    assert paint_for(terminal) is plain


@pytest.mark.parametrize(("columns", "used"), [(0, 100), (60, 60), (10, 40), (250, 100)])
def test_lines_are_as_long_as_the_terminal_is_wide(terminal: int, columns: int, used: int) -> None:
    termios.tcsetwinsize(terminal, (24, columns))
    assert columns_of(terminal) == used


def test_without_a_terminal_lines_have_a_hundred_columns() -> None:
    reading, writing = os.pipe()
    assert columns_of(writing) == MOST_COLUMNS == 100
    os.close(reading)
    os.close(writing)
