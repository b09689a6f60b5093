"""Durations and sizes as the table writes them: a number and its unit, nothing implied."""

import re

_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {
    "B": 1,
    "KB": 1000, "MB": 1000**2, "GB": 1000**3,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}  # fmt: skip
_VALUE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z]+)", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds.

    Raises:
        ValueError: with a sentence that shows the right form.
    """
    return _parse(text, _DURATIONS, 'a duration like "250ms", "5s", "10m", "2h" or "7d"')


def parse_size(text: str) -> int:
    """Bytes.

    Raises:
        ValueError: with a sentence that shows the right form.
    """
    size = _parse(text, _SIZES, 'a size like "512B", "64KiB", "1MiB" or "10MB"')
    if size != int(size):
        raise ValueError(f"{text!r} is no whole number of bytes")
    return int(size)


def _parse(text: str, units: dict[str, float] | dict[str, int], form: str) -> float:
    found = _VALUE.fullmatch(text)
    if found is None or found[2] not in units:
        raise ValueError(f"{text!r} is not {form}")
    # Rounded, since 0.1 of a unit is no binary fraction: "0.3s" is 0.3.
    return round(float(found[1]) * units[found[2]], 9)
