"""What may stand behind `mqtt:`; its connections are `connection_checks`'."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from routerd.address import AddressError, Pattern, parse_mqtt_pattern
from routerd.checks import (
    Endpoint,
    Session,
    SinkFacts,
    SourceFacts,
    Weakness,
    report_overlaps,
)
from routerd.connectors.mqtt import connection_checks
from routerd.connectors.mqtt.settings import MqttFilter, MqttSettings, MqttSourceSpec
from routerd.findings import quoted
from routerd.section import Section

METADATA = frozenset({"topic", "time"})
EXACTLY_ONCE = 2
"""The QoS that routerd refuses."""
_HINTS = {
    "required": "it belongs to an address of `to`; remove it",
    "filter": "the filter stands in `address`",
    "topic": "the filter stands in `address`",
    "client_id": "it is called `session` here",
    "retain": 'it is called `retained`, "process" or "drop"',
    "shared": 'a shared subscription is written address = "mqtt:$share/GROUP/FILTER"',
    "group": 'a shared subscription is written address = "mqtt:$share/GROUP/FILTER"',
}
_COMES_AGAIN = Weakness(
    "QoS 1",
    "after a reconnect the broker gives messages again that were not acknowledged; subscribe "
    'with from = { address = "mqtt:FILTER", qos = 0 }',
)
_QUEUE = (
    "the broker keeps the session and its queue; mosquitto drops what is over "
    "`max_queued_messages`, 1000 unless its configuration says more"
)
_PUBLISHERS = "publishers use QoS 1; what is published at QoS 0 is at most once through any filter"


@dataclass(frozen=True)
class _Input:
    """One address of `from`, read."""

    endpoint: Endpoint
    pattern: Pattern
    filter: MqttFilter


class MqttChecks:
    """The load-time half of the MQTT connector."""

    connector = "mqtt"
    table = "mqtt"
    keys = connection_checks.KEYS
    main_key = connection_checks.MAIN_KEY

    def connection(self, key: str, section: Section) -> MqttSettings | None:
        """A broker, and how to get in."""
        return connection_checks.check_connection(key, section)

    def listens_on(self, settings: object) -> None:
        """A broker is called, it doesn't call."""

    def source(
        self, endpoints: Sequence[Endpoint], *, settings: object | None, route: str
    ) -> SourceFacts | None:
        """Filters to subscribe to, all in one session."""
        found = [(_read_input(endpoint), _read_session(endpoint)) for endpoint in endpoints]
        inputs = [one for one, _ in found if one is not None]
        report_overlaps([(one.endpoint, one.pattern) for one in inputs])
        own_session = _one_session(endpoints, [session for _, session in found])
        if len(inputs) < len(endpoints):
            return None
        known = settings if isinstance(settings, MqttSettings) else None
        session = _session_name(inputs, known, own_session, route=route)
        _warn(inputs, known)
        return _facts(inputs, known, session)

    def sink(self, endpoint: Endpoint, *, settings: object | None) -> SinkFacts | None:
        """Comes later."""
        endpoint.problem(
            f"{quoted(endpoint.text)} as `to`: publishing to MQTT comes with a later version; "
            "a route sends to kafka:, group: or log:"
        )
        return None


def _facts(inputs: Sequence[_Input], settings: MqttSettings | None, session: str) -> SourceFacts:
    """All that is known; without settings for the checks of the other keys only."""
    losses = tuple(_lossy(one) for one in inputs if one.filter.qos == 0)
    comes_again = len(losses) < len(inputs)
    return SourceFacts(
        MqttSourceSpec(tuple(one.filter for one in inputs), session),
        tuple(one.pattern for one in inputs),
        METADATA,
        losses=losses,
        repeats=(_COMES_AGAIN,) if comes_again else (),
        confirmation="PUBACK",
        session=_session(settings, session) if settings and session else None,
        rests_on=(_QUEUE, _PUBLISHERS) if comes_again else (),
    )


def _lossy(one: _Input) -> Weakness:
    where = f"line {one.endpoint.line('qos')}"
    return Weakness(
        "QoS 0",
        f"{quoted(one.endpoint.text)} is subscribed at `qos = 0` ({where}), and the broker never "
        "gives such a message again; write qos = 1",
    )


def _read_input(endpoint: Endpoint) -> _Input | None:
    options = endpoint.options
    qos = _read_qos(endpoint)
    retained = options.choice("retained", ("process", "drop"), default="process")
    options.raw("session")
    options.finish(hints=_HINTS)
    try:
        pattern = parse_mqtt_pattern(endpoint.rest)
    except AddressError as exc:
        endpoint.problem(f"{quoted(endpoint.text)}: {exc}")
        return None
    reason = connection_checks.text_problem(pattern.filter)
    if reason:
        endpoint.problem(f"{quoted(endpoint.text)} {reason}; write another filter")
        return None
    return _Input(endpoint, pattern, MqttFilter(pattern.filter, qos, retained == "drop"))


def _read_qos(endpoint: Endpoint) -> Literal[0, 1]:
    options = endpoint.options
    value = options.raw("qos")
    if value == EXACTLY_ONCE and not isinstance(value, bool):
        options.problem(
            "qos",
            f"`qos = 2` of {quoted(endpoint.text)} is refused: subscribe at QoS 1, the broker "
            "downgrades what is published at 2",
        )
        return 1
    return 0 if options.integer("qos", least=0, most=1, default=1) == 0 else 1


# --- the session


def _read_session(endpoint: Endpoint) -> str | None:
    """The whole name of the session, if this address says it."""
    options = endpoint.options
    session = options.text("session")
    reason = connection_checks.text_problem(session) if session else ""
    if reason:
        options.problem("session", f"`session` of {options.label} {reason}; write another")
        return None
    return session


def _one_session(endpoints: Sequence[Endpoint], sessions: Sequence[str | None]) -> str | None:
    said = [(e, session) for e, session in zip(endpoints, sessions, strict=True) if session]
    for endpoint, session in said[1:]:
        if session != said[0][1]:
            endpoint.options.problem(
                "session",
                f"`session` of {endpoint.options.label} is {quoted(session)}, and line "
                f"{said[0][0].line('session')} says {quoted(said[0][1])}; a route has one session, "
                "so write the same or a route for each",
            )
    return said[0][1] if said else None


def _session(settings: MqttSettings, name: str) -> Session:
    kept_for = settings.session_expiry if settings.version == "5" else None
    return Session(name, f"{settings.host}:{settings.port}", kept_for)


def _session_name(
    inputs: Sequence[_Input], settings: MqttSettings | None, own: str | None, *, route: str
) -> str:
    """The client identifier; empty for a route that needs no session and was given no name."""
    if own or settings is None:
        return own or ""
    if settings.client_id is not None:
        session = f"{settings.client_id}-{route}"
        reason = connection_checks.text_problem(session)
        if reason:
            inputs[0].endpoint.problem(
                f"the session's name, `client_id` of [{settings.key}] and the route's, {reason}; "
                "shorten them"
            )
        return session
    needing = next((one for one in inputs if one.filter.qos == 1), None)
    if needing is not None:
        needing.endpoint.problem(
            f"{quoted(needing.endpoint.text)} at QoS 1 needs a session that the broker keeps for "
            f'us, and [{settings.key}] does not name it; add client_id = "routerd-SITE" to '
            f"[{settings.key}], one for each routerd, and never change it"
        )
    return ""


# --- what the author should know


def _warn(inputs: Sequence[_Input], settings: MqttSettings | None) -> None:
    is_old = settings is not None and settings.version == "3.1.1"
    for one in inputs:
        endpoint = one.endpoint
        if one.pattern.share is not None:
            endpoint.warn(
                f"{quoted(endpoint.text)}: a shared subscription gives up the order of messages "
                "of one key, since the broker deals them out among its members; remove $share "
                "where the order matters"
            )
        if endpoint.rest.startswith("/"):
            endpoint.warn(
                f"{quoted(endpoint.text)}: the / in front is an empty first level; few devices "
                "publish so, remove it unless yours do"
            )
        if is_old and not (one.pattern.share or one.filter.drops_retained):
            endpoint.warn(
                f"{quoted(endpoint.text)}: in MQTT 3.1.1 the broker gives retained messages again "
                "whenever routerd starts; write "
                'from = { address = "mqtt:FILTER", retained = "drop" } or use version = "5"'
            )
