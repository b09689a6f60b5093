"""What several routes say of one place that all of them send to, and must say alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from routerd.checks import Endpoint, SinkFacts, Terms
from routerd.findings import quoted


@dataclass(frozen=True)
class _Said:
    """Terms, who wrote them, and where."""

    endpoint: Endpoint
    terms: Terms
    route: str


class Agreements:
    """The terms of all sinks that were checked so far."""

    def __init__(self) -> None:
        self._said: list[_Said] = []

    def check(self, sinks: Sequence[tuple[Endpoint, SinkFacts]], *, route: str) -> None:
        """Reports each sink of a route that says something else than one of an earlier line.

        Args:
            sinks: of the route.
            route: as sentences call it.
        """
        for endpoint, facts in sinks:
            if facts.terms is None:
                continue
            said = _Said(endpoint, facts.terms, route)
            other = next((one for one in self._said if _contradict(one, said)), None)
            if other is not None:
                _report(said, other)
            self._said.append(said)


def _contradict(one: _Said, other: _Said) -> bool:
    return (
        one.endpoint.connection == other.endpoint.connection
        and one.terms.value != other.terms.value
        and one.terms.places.overlaps(other.terms.places)
    )


def _report(said: _Said, other: _Said) -> None:
    endpoint, earlier = said.endpoint, other.endpoint
    key = said.terms.key
    whose = "" if other.route == said.route else f" of {other.route}"
    sentence = (
        f"{quoted(endpoint.text)} of {said.route} has {said.terms}, and {quoted(earlier.text)}"
        f"{whose}, line {earlier.line(key)}, has {other.terms}; both can reach one "
        f"{said.terms.noun}, so write the same `{key}` in both"
    )
    if key in endpoint.options:
        endpoint.options.problem(key, sentence)
    else:
        endpoint.problem(sentence)
