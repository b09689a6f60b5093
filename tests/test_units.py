"""Durations and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.units import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("5s", 5),
        ("0.3s", 0.3),
        ("10m", 600),
        ("2h", 7200),
        ("7 d", 604_800),
        ("0s", 0),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512B", 512),
        ("64KiB", 65_536),
        ("1MiB", 1 << 20),
        ("10MB", 10_000_000),
        ("1.5KiB", 1536),
        ("1GiB", 1 << 30),
    ],
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "-5s",
        "5 sec",
        "5S",
        "1e3s",
        "5s ",
        " 5s",
        "\u0665s",
        "5s5s",
        "9" * 20 + "s",
        "5KiB",
    ],
)
def test_durations_without_a_number_and_a_known_unit_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r'"5s"'):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "5", "5k", "5kb", "5s", "1,5KiB"])
def test_sizes_without_a_number_and_a_known_unit_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r'"64KiB"'):
        parse_size(text)


def test_half_a_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number of bytes"):
        parse_size("0.5B")


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0
