"""The city that the buses drive through: its lines, and where a bus is at a time. Only geometry.

Its plan is 1000 by 600, from the top left; nothing in it is real.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

WIDTH: Final = 1000
HEIGHT: Final = 600
BUSES_PER_LINE: Final = 6

_KERB: Final = 8.0
"""How far right of the middle of the street a bus drives, so that two of them can meet."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Position:
    """Where a bus is. The bearing is in degrees, clockwise from the top."""

    x: float
    y: float
    bearing: int


@dataclass(frozen=True)
class Line:
    """One line: a way through the plan, driven to and fro, or round and round.

    Attributes:
        speed: units of the plan in a second.
    """

    name: str
    points: tuple[Point, ...]
    is_ring: bool
    speed: float
    _starts: list[float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0.0]
        for start, end in pairwise(self.points):
            starts.append(starts[-1] + math.dist(start, end))
        object.__setattr__(self, "_starts", starts)

    def locate(self, share: float, seconds: float) -> Position:
        """Where a bus is that began at this share of its round so many seconds ago."""
        length = self._starts[-1]
        turn = length if self.is_ring else 2 * length
        driven = (share * turn + self.speed * seconds) % turn
        if driven < length:
            return self._at(driven, is_outward=True)
        return self._at(2 * length - driven, is_outward=False)

    def _at(self, distance: float, *, is_outward: bool) -> Position:
        index = min(bisect_right(self._starts, distance), len(self._starts) - 1) - 1
        (x0, y0), (x1, y1) = self.points[index], self.points[index + 1]
        length = self._starts[index + 1] - self._starts[index]
        share = (distance - self._starts[index]) / length
        along = (x1 - x0) / length, (y1 - y0) / length
        ahead = along if is_outward else (-along[0], -along[1])
        return Position(
            x=x0 + (x1 - x0) * share - ahead[1] * _KERB,
            y=y0 + (y1 - y0) * share + ahead[0] * _KERB,
            bearing=round(math.degrees(math.atan2(ahead[0], -ahead[1]))) % 360,
        )


def _line(name: str, speed: float, points: Sequence[Point], *, is_ring: bool = False) -> Line:
    closing = points[:1] if is_ring else ()
    return Line(name, (*points, *closing), is_ring, speed)


LINES: Final = (
    _line("1", 17, [(40, 130), (290, 130), (400, 240), (690, 240), (800, 130), (960, 130)]),
    _line("2", 15, [(40, 470), (250, 470), (390, 330), (600, 330), (740, 470), (960, 470)]),
    _line(
        "5", 19,
        [
            (290, 70), (700, 70), (870, 240), (870, 380), (720, 530), (290, 530), (130, 370),
            (130, 230),
        ],
        is_ring=True,
    ),
    _line("7", 13, [(500, 30), (500, 170), (560, 230), (560, 400), (500, 460), (500, 570)]),
    _line("9", 16, [(60, 40), (60, 280), (200, 420), (640, 420), (780, 560), (960, 560)]),
    _line("12", 18, [(960, 40), (960, 290), (640, 290), (450, 480), (330, 480), (240, 570)]),
)  # fmt: skip


@dataclass(frozen=True)
class Bus:
    """One bus; its name is its MQTT level, its Kafka key and its WebSocket path."""

    name: str
    line: Line
    share: float

    def locate(self, seconds: float) -> Position:
        """Where it is so many seconds after the start."""
        return self.line.locate(self.share, seconds)


def all_buses() -> list[Bus]:
    """Every bus, line by line in turn, spread evenly over each line."""
    return [
        Bus(f"bus-{number * len(LINES) + index + 1:02d}", line, number / BUSES_PER_LINE)
        for number in range(BUSES_PER_LINE)
        for index, line in enumerate(LINES)
    ]


def plan() -> dict[str, object]:
    """What a page needs to draw it."""
    lines = [{"name": line.name, "points": line.points} for line in LINES]
    return {"width": WIDTH, "height": HEIGHT, "lines": lines}
