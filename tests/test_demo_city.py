"""The buses of the demo move as buses do: along their streets, and never by leaps."""

import json
import math

import pytest

from routerd.demo.city import HEIGHT, LINES, WIDTH, Bus, Line, all_buses, plan

BUSES = all_buses()
SQUARE = Line("s", ((0, 0), (100, 0), (100, 100)), is_ring=False, speed=10)


def test_every_bus_has_a_name_of_its_own_and_every_line_as_many() -> None:
    assert len({bus.name for bus in BUSES}) == len(BUSES) == 36
    assert {line.name: sum(bus.line is line for bus in BUSES) for line in LINES} == dict.fromkeys(
        [line.name for line in LINES], 6
    )


@pytest.mark.parametrize("bus", BUSES, ids=lambda bus: bus.name)
def test_a_bus_stays_on_the_plan_and_never_leaps(bus: Bus) -> None:
    before = bus.locate(0)
    for step in range(1, 500):
        now = bus.locate(step * 0.5)
        assert 0 <= now.x <= WIDTH
        assert 0 <= now.y <= HEIGHT
        # Half a second of driving, and from one side of the street to the other at its ends.
        assert math.dist((before.x, before.y), (now.x, now.y)) < bus.line.speed / 2 + 17
        before = now


@pytest.mark.parametrize(
    ("seconds", "bearing"), [(5, 90), (15, 180), (25, 0), (35, 270), (45, 90), (405, 90)]
)
def test_a_bus_drives_to_and_fro_and_looks_ahead(seconds: float, bearing: int) -> None:
    assert SQUARE.locate(0, seconds).bearing == bearing


def test_two_buses_meet_on_their_own_sides_of_the_street() -> None:
    out, back = SQUARE.locate(0, 5), SQUARE.locate(0, 35)
    assert out.x == pytest.approx(back.x)
    assert out.y > 0 > back.y


def test_a_ring_is_driven_round_and_round() -> None:
    ring = next(line for line in LINES if line.is_ring)
    length = sum(math.dist(a, b) for a, b in zip(ring.points, ring.points[1:], strict=False))
    first, again = ring.locate(0.25, 3), ring.locate(0.25, 3 + length / ring.speed)
    assert (first.x, first.y) == pytest.approx((again.x, again.y))


def test_the_plan_is_what_a_page_can_draw() -> None:
    drawn = json.loads(json.dumps(plan()))
    assert (drawn["width"], drawn["height"]) == (WIDTH, HEIGHT)
    assert [line["name"] for line in drawn["lines"]] == [line.name for line in LINES]
    assert all(len(point) == 2 for line in drawn["lines"] for point in line["points"])
