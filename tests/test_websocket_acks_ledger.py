"""What a client is told, and when: each message has one answer, in its turn."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.connectors.websocket.acks.ledger import Ledger
from routerd.connectors.websocket.acks.words import UNMATCHED, Failure
from tests.raw_websocket import split

FELL = Failure("a: route_restarted", is_final=False)


def said(answers: bytes) -> list[str]:
    """The texts of frames."""
    texts = []
    while (found := split(answers)) is not None:
        first, answers = found
        texts.append(first.payload.decode())
    return texts


def test_a_message_is_answered_once_its_route_has_it() -> None:
    ledger = Ledger()
    token = ledger.open(b"1", routes=1)
    assert said(ledger.take_answers()) == []
    ledger.confirm(token)
    assert said(ledger.take_answers()) == ["ack 1"]
    assert said(ledger.take_answers()) == []
    assert len(ledger) == 0


def test_answers_keep_the_order_of_the_messages() -> None:
    ledger = Ledger()
    first, second = ledger.open(b"1", routes=1), ledger.open(b"2", routes=1)
    ledger.refuse(b"3", UNMATCHED)
    ledger.confirm(second)
    assert said(ledger.take_answers()) == []
    ledger.fail(first, FELL)
    assert said(ledger.take_answers()) == [
        "nack 1 retry a: route_restarted",
        "ack 2",
        "nack 3 final unmatched: no route takes such a message",
    ]


def test_a_message_waits_for_all_of_its_routes() -> None:
    ledger = Ledger()
    token = ledger.open(b"1", routes=3)
    ledger.confirm(token)
    ledger.fail(token, FELL)
    assert said(ledger.take_answers()) == []
    ledger.confirm(token)
    assert said(ledger.take_answers()) == ["nack 1 retry a: route_restarted; 2 of 3 routes took it"]


def test_a_message_that_is_sent_twice_is_answered_twice() -> None:
    ledger = Ledger()
    token = ledger.open(b"1", routes=1)
    assert ledger.recalls(b"1")
    ledger.confirm(token)
    assert said(ledger.take_answers()) == ["ack 1", "ack 1"]
    assert ledger.recalls(b"1")
    assert said(ledger.take_answers()) == ["ack 1"]


def test_what_was_refused_may_be_sent_again() -> None:
    ledger = Ledger()
    ledger.fail(ledger.open(b"1", routes=1), FELL)
    assert ledger.recalls(b"1")  # it has no answer yet
    assert said(ledger.take_answers()) == ["nack 1 retry a: route_restarted"] * 2
    assert not ledger.recalls(b"1")
    ledger.confirm(ledger.open(b"1", routes=1))
    assert said(ledger.take_answers()) == ["ack 1"]


def test_only_the_newest_names_are_remembered() -> None:
    ledger = Ledger(remembered=3)
    for ident in (b"1", b"2", b"3", b"2", b"4"):
        if not ledger.recalls(ident):
            ledger.confirm(ledger.open(ident, routes=1))
        ledger.take_answers()
    assert [ledger.recalls(ident) for ident in (b"1", b"2", b"3", b"4")] == [False, *[True] * 3]


def test_what_is_unanswered_is_bounded() -> None:
    ledger = Ledger(most=2)
    token = ledger.open(b"1", routes=1)
    assert ledger.has_room
    assert ledger.recalls(b"1")
    assert not ledger.has_room
    ledger.confirm(token)
    assert not ledger.has_room
    ledger.take_answers()
    assert ledger.has_room


def test_the_last_answers_are_for_all_that_waits_and_nothing_follows_them() -> None:
    ledger = Ledger()
    first, second = ledger.open(b"1", routes=2), ledger.open(b"2", routes=1)
    ledger.confirm(first)
    ledger.close(Failure("shutdown", is_final=False))
    assert said(ledger.take_answers()) == [
        "nack 1 retry shutdown; 1 of 2 routes took it",
        "nack 2 retry shutdown",
    ]
    ledger.confirm(first)
    ledger.fail(second, FELL)
    assert said(ledger.take_answers()) == []


@dataclass
class Sent:
    """One message as a naive reader of the rules sees it."""

    ident: str
    waiting: int
    failures: int = 0
    is_answered: bool = False


@dataclass
class Model:
    """The rules, without an index or a bound."""

    turns: list[Sent] = field(default_factory=list)
    answered: int = 0
    acked: set[str] = field(default_factory=set)

    def find(self, ident: str) -> Sent | None:
        waiting = (one for one in self.turns[self.answered :] if not one.is_answered)
        return next((one for one in waiting if one.ident == ident), None)

    def answers(self) -> list[str]:
        found = []
        while self.answered < len(self.turns) and not self.turns[self.answered].waiting:
            one = self.turns[self.answered]
            self.answered += 1
            one.is_answered = True
            found.append(f"{'nack' if one.failures else 'ack'} {one.ident}")
            if not one.failures:
                self.acked.add(one.ident)
        return found


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.just("send"), st.integers(0, 3), st.integers(0, 3))
        | st.tuples(st.sampled_from(["confirm", "fail"]), st.integers(0, 50), st.just(0)),
        max_size=60,
    )
)
def test_answers_come_once_in_order_and_match_however_routes_take_turns(
    steps: list[tuple[str, int, int]],
) -> None:
    ledger, model = Ledger(), Model()
    owed: list[tuple[int, Sent]] = []  # each route of each message owes one verdict
    for step, number, routes in steps:
        if step == "send":
            _send(ledger, model, owed, str(number), routes)
        elif owed:
            token, one = owed.pop(number % len(owed))
            one.waiting -= 1
            if step == "confirm":
                ledger.confirm(token)
            else:
                one.failures += 1
                ledger.fail(token, FELL)
        heard = [" ".join(text.split(" ")[:2]) for text in said(ledger.take_answers())]
        assert heard == model.answers()
        assert len(ledger) == len(model.turns) - model.answered


def _send(
    ledger: Ledger, model: Model, owed: list[tuple[int, Sent]], ident: str, routes: int
) -> None:
    earlier = model.find(ident)
    is_known = earlier is not None or ident in model.acked
    assert ledger.recalls(ident.encode()) == is_known
    if is_known:
        model.turns.append(earlier or Sent(ident, 0))
        return
    one = Sent(ident, routes, failures=0 if routes else 1)
    model.turns.append(one)
    if routes:
        token = ledger.open(ident.encode(), routes=routes)
        owed += [(token, one)] * routes
    else:
        ledger.refuse(ident.encode(), UNMATCHED)
