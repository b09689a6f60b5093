"""What a route promises about each message, and what keeps it from promising more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from routerd.checks import SinkFacts, SourceFacts, Weakness
from routerd.config.models import OnError

_NO_REQUIRED_SINK = Weakness(
    "no required sink",
    "no sink of it is required, so messages are acknowledged before anyone has them; "
    "route to Kafka as well",
)
_DROPS = Weakness(
    'on_error = "drop"', '`on_error = "drop"` acknowledges what no sink took; remove it'
)


@dataclass(frozen=True)
class Promise:
    """What a route does with a message.

    Attributes:
        text: in one line.
        not_at_least_once: what keeps it from that; empty if it is.
        not_at_most_once: what keeps it from that; empty if it is.
        is_at_least_once: whether it is, for every message that its sinks take.
    """

    text: str
    not_at_least_once: tuple[Weakness, ...]
    not_at_most_once: tuple[Weakness, ...]
    is_at_least_once: bool


def promise_of(
    source: SourceFacts, sinks: Sequence[tuple[str, SinkFacts]], *, on_error: OnError
) -> Promise:
    """The promise of a route.

    Args:
        source: its input.
        sinks: its outputs, with their addresses as written.
        on_error: what it does with a message that is refused.
    """
    required = [(text, facts) for text, facts in sinks if facts.required]
    losses = [*source.losses, *(weak for _, facts in required for weak in facts.losses)]
    if not required:
        losses.append(_NO_REQUIRED_SINK)
    disorders = [weak for _, facts in required for weak in facts.disorders]
    repeats = [*(source.repeats if required else ()), *disorders]
    if losses:
        kind = "may lose or repeat" if repeats else "at most once"
        text = f"{kind}: {_names([*losses, *disorders])}"
        broken = _once([*losses, *disorders])
        return Promise(text, broken, _once(repeats), is_at_least_once=False)
    limits = [*disorders, *source.exceptions]
    if on_error == "drop" and not source.is_told:
        limits.append(_DROPS)
    after = " and ".join(text for text, _ in required)
    beside = f" (but {_names(limits)})" if limits else ""
    text = f"at least once{beside}: {source.confirmation} after {after}"
    return Promise(text, _once(limits), _once(repeats), is_at_least_once=True)


def _names(weaknesses: Iterable[Weakness]) -> str:
    return ", ".join(weak.name for weak in _once(weaknesses))


def _once(weaknesses: Iterable[Weakness]) -> tuple[Weakness, ...]:
    """Each of them once, in their order."""
    return tuple(dict.fromkeys(weaknesses))
