"""`allow`: whether a client meets the demands of a path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from routerd.address import Captured
from routerd.claims import find_claim
from routerd.connectors.websocket.entry.settings import Demand, Right
from routerd.template import Reference, Template


@dataclass(frozen=True)
class Facts:
    """What is known of a client when it asks to come in."""

    captures: Mapping[str, Captured]
    claims: Mapping[str, object]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    peer: str
    path: str

    def values(self, reference: Reference) -> tuple[str, ...]:
        """What a reference stands for, as texts: several for a list, none for what is missing."""
        return _texts(self._find(reference))

    def _find(self, reference: Reference) -> object:
        if reference.kind != "meta":
            return self.captures.get(reference.name)
        match reference.path:
            case ("claim", name):
                return find_claim(self.claims, name)
            case ("query", name):
                return self.query.get(name)
            case ("header", name):
                return self.headers.get(name)
            case _:
                return {"peer": self.peer, "path": self.path}.get(reference.name)


def meets(right: Right, facts: Facts) -> bool:
    """Whether a client has a right."""
    return not right.is_refused and all(_is_met(demand, facts) for demand in right.demands)


def _is_met(demand: Demand, facts: Facts) -> bool:
    subjects = facts.values(demand.subject)
    wanted = {text for template in demand.values for text in _rendered(template, facts)}
    return any(subject in wanted for subject in subjects)


def _rendered(template: Template, facts: Facts) -> Sequence[str]:
    """What it may come to; a list in it stands for each of its values."""
    texts = [""]
    for part in template.parts:
        values = (part,) if isinstance(part, str) else facts.values(part)
        texts = [text + value for text in texts for value in values]
    return texts


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return ("/".join(value),)  # what a capture of the rest took
    texts = [_text(one) for one in (value if isinstance(value, list) else [value])]
    return tuple(text for text in texts if text is not None)


def _text(value: object) -> str | None:
    """A scalar as people write it in a path; None: it is none."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
        case _:
            return None
