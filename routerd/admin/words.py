"""Numbers as people read them."""

from typing import Final

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_FEW: Final = 10
_MANY: Final = 1000


def duration(seconds: float) -> str:
    """`42 s`, `5 min`, `3 h 20 min`: the two largest units that matter."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break  # 1 d 0 h 5 min is about a day
    return " ".join(parts[:2])


def rate(per_second: float | None) -> str:
    """A number with as many digits as it is worth; a dash where nothing is known."""
    if per_second is None:
        return "–"  # noqa: RUF001 - it stands where a number would
    if 0 < per_second < _FEW:
        return f"{per_second:.1f}"
    return count(round(per_second))


def count(number: int) -> str:
    """`1 234 567`, with thin spaces that no line breaks at."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def size(count_of_bytes: int) -> str:
    """`512 bytes`, `1.5 KiB`."""
    number: float = count_of_bytes
    if number == 1:
        return "1 byte"
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:  # noqa: PLR2004 - what the units say
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def lag(seconds: float | None) -> str:
    """How late the event loop is, as its histogram knows it."""
    if seconds is None:
        return "not known yet"
    if seconds == float("inf"):
        return "over a minute"
    return f"under {seconds * 1000:g} ms" if seconds < 1 else f"under {seconds:g} s"
