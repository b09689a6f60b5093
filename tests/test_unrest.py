"""What comes and goes is told each time, then once, and once more when it rests."""

from routerd.unrest import MOST_CHANGES, RESTS_AFTER, WITHIN, Unrest


def test_a_restart_now_and_then_is_told() -> None:
    unrest = Unrest()
    pace = WITHIN / MOST_CHANGES
    assert {unrest.changed(number * pace * 1.01) for number in range(1000)} == {"line"}
    assert unrest.rested(1e9) == 0


def test_what_never_rests_is_told_once() -> None:
    unrest = Unrest()
    said = [unrest.changed(float(number)) for number in range(1000)]
    assert said == ["line"] * MOST_CHANGES + ["unrest"] + ["nothing"] * (1000 - MOST_CHANGES - 1)


def test_when_it_rests_that_is_told_once_and_the_next_change_again() -> None:
    unrest = Unrest()
    for number in range(MOST_CHANGES + 5):
        unrest.changed(float(number))
    last = MOST_CHANGES + 4
    assert unrest.rested(last + RESTS_AFTER - 1) == 0
    assert unrest.rested(last + RESTS_AFTER) == 5
    assert unrest.rested(last + RESTS_AFTER + 1) == 0
    assert unrest.changed(last + RESTS_AFTER + 2) == "line"
