"""One `[[route]]`: its keys together, and whether it keeps what its author counts on."""

from collections.abc import Mapping, Sequence

from routerd.checks import Endpoint, SinkFacts, SourceFacts, Weakness
from routerd.config.agreements import Agreements
from routerd.config.connections import Connections
from routerd.config.endpoints import KEYS, checks_of, read_endpoints, report_twins
from routerd.config.misplaced import Misplaced
from routerd.config.models import Guarantee, OnError, RouteModel, SinkModel, SourceModel
from routerd.config.promise import Promise, promise_of
from routerd.config.references import References
from routerd.config.shaping import Shaping, read_shaping
from routerd.findings import listed, quoted
from routerd.section import Section

_TO = 'it is called `to`: to = "kafka:TOPIC"'
_FROM = 'it is called `from`: from = "mqtt:FILTER"'
_IN_FROM = 'it belongs to the address: from = { address = "mqtt:FILTER", '
HINTS: Mapping[str, str] = {
    **dict.fromkeys(("sink", "sinks", "target", "targets", "destination", "output"), _TO),
    **dict.fromkeys(("source", "sources", "input", "inputs", "topic", "topics"), _FROM),
    "qos": f"{_IN_FROM}qos = 1 }}",
    "retained": f'{_IN_FROM}retained = "drop" }}',
    "session": f'{_IN_FROM}session = "ID" }}',
    "required": 'it belongs to the address: to = { address = "kafka:TOPIC", required = false }',
    "slow": 'it belongs to the address: to = { address = "group:/PATH", slow = "latest" }',
    "filter": "it is called `when`: a table of references and values",
    "where": "it is called `when`: a table of references and values",
    "transform": "it is called `body`: a table of templates",
    "template": "it is called `body`: a table of templates",
    "header": "it is called `headers`",
    "id": "it is called `name`",
    "dead_letter": "it comes with a later version; remove it",
}
_DEAD_LETTER = "dead_letter"
_OTHER: Mapping[OnError, str] = {"stop": "drop", "drop": "stop"}


def read_route(
    route: Section, *, name: str, connections: Connections, agreements: Agreements
) -> RouteModel | None:
    """A route; None when its `from` can't be used, and the findings say why."""
    misplaced = Misplaced(route)
    endpoints = read_endpoints(route, "from", connections)
    source = _read_source(route, endpoints, connections, name=name)
    sinks = _read_sinks(route, connections)
    _report_missing(route, misplaced)
    references = References(route)
    patterns = source.patterns if source else ()
    captures = frozenset(name for pattern in patterns for name in pattern.names)
    shaping = read_shaping(route, misplaced, references, captures=captures)
    for endpoint, facts in sinks:
        for template in facts.templates:
            references.add(template, endpoint.path, f"{quoted(endpoint.text)} of {route.label}")
    _warn_of_idle_keys(route, sinks)
    _report_keyless(route, sinks)
    agreements.check(sinks, route=route.label)
    inflight = route.integer("inflight", least=1, most=1_000_000, default=2000)
    inflight_bytes = route.size("inflight_bytes", least="1KiB", most="64GiB", default=64 << 20)
    destinations = route.integer("max_destinations", least=1, most=1_000_000, default=1000)
    on_error = _read_on_error(route, source)
    guarantee = _read_guarantee(route)
    route.finish()
    misplaced.warn_of_doubtful(KEYS)
    if source is None:
        return None
    references.check(source, endpoints)
    _warn_of_slashes(sinks, source)
    _report_untyped(sinks, source)
    _report_lost_replies(sinks, endpoints)
    promise = promise_of(source, [(e.text, facts) for e, facts in sinks], on_error=on_error)
    if "to" in route and len(sinks) == len(
        _values(route.raw("to"))
    ):  # else it is known only in part
        _check_guarantee(route, guarantee, promise)
    return _model(
        route,
        name=name,
        endpoints=endpoints,
        source=source,
        sinks=sinks,
        shaping=shaping,
        on_error=on_error,
        inflight=inflight,
        inflight_bytes=inflight_bytes,
        max_destinations=destinations,
        guarantee=guarantee,
        promise=promise,
        references=references,
    )


def _model(
    route: Section,
    *,
    name: str,
    endpoints: Sequence[Endpoint],
    source: SourceFacts,
    sinks: Sequence[tuple[Endpoint, SinkFacts]],
    shaping: Shaping,
    on_error: OnError,
    inflight: int,
    inflight_bytes: int,
    max_destinations: int,
    guarantee: Guarantee | None,
    promise: Promise,
    references: References,
) -> RouteModel:
    return RouteModel(
        name=name,
        line=route.line(),
        source_text=", ".join(endpoint.text for endpoint in endpoints),
        source=SourceModel(
            endpoints[0].connection,
            source.spec,
            source.patterns,
            session=source.session,
            rests_on=source.rests_on if promise.is_at_least_once else (),
            hints=source.hints if _counts_on_more(guarantee, sinks) else (),
        ),
        sinks=tuple(
            SinkModel(endpoint.text, endpoint.connection, facts.spec, facts.required, facts.terms)
            for endpoint, facts in sinks
        ),
        key=shaping.key,
        headers=shaping.headers,
        when=shaping.when,
        body=shaping.body,
        payload=shaping.payload,
        on_error=on_error,
        inflight=inflight,
        inflight_bytes=inflight_bytes,
        max_destinations=max_destinations,
        guarantee=guarantee,
        promise=promise.text,
        references=references.distinct,
    )


# --- from and to


def _read_source(
    route: Section, endpoints: Sequence[Endpoint], connections: Connections, *, name: str
) -> SourceFacts | None:
    """What `from` means; None unless all of it can be used."""
    by_connection: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_connection.setdefault(endpoint.connection, []).append(endpoint)
    if len(by_connection) > 1:
        route.problem(
            "from",
            f"`from` of {route.label} reads from {listed(f'[{key}]' for key in by_connection)}; "
            "a route reads from one connection, so make a route for each",
        )
    found = [
        checks_of(group[0]).source(group, settings=connections.settings(key), route=name)
        for key, group in by_connection.items()
    ]
    if len(endpoints) != len(_values(route.raw("from"))):
        return None
    return found[0] if len(found) == 1 else None


def _read_sinks(route: Section, connections: Connections) -> list[tuple[Endpoint, SinkFacts]]:
    endpoints = read_endpoints(route, "to", connections)
    report_twins(route, endpoints)
    found: list[tuple[Endpoint, SinkFacts]] = []
    for endpoint in endpoints:
        settings = connections.settings(endpoint.connection)
        facts = checks_of(endpoint).sink(endpoint, settings=settings)
        if facts is not None:
            found.append((endpoint, facts))
    return found


def _values(value: object) -> Sequence[object]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def _report_missing(route: Section, misplaced: Misplaced) -> None:
    for key, example in (("from", '"mqtt:FILTER"'), ("to", '"kafka:TOPIC"')):
        if key not in route and not route.has_misspelt(key, KEYS):
            mend = misplaced.mend(key) or f"; add {key} = {example}"
            route.problem(None, f"{route.label} has no `{key}`{mend}")


def _warn_of_idle_keys(route: Section, sinks: Sequence[tuple[Endpoint, SinkFacts]]) -> None:
    """Says that `key` and `headers` mean nothing where no sink makes records."""
    if not sinks or any(facts.takes_records for _, facts in sinks):
        return
    is_keyed = any(facts.needs_key for _, facts in sinks)
    for key in ("headers",) if is_keyed else ("key", "headers"):
        if key in route:
            route.warn(
                key,
                f"`{key}` of {route.label} is for Kafka's records, and no `to` of it is kafka:; "
                "remove it",
            )


def _report_keyless(route: Section, sinks: Sequence[tuple[Endpoint, SinkFacts]]) -> None:
    """Reports sinks that tell messages apart by a `key` that the route doesn't have."""
    for endpoint, facts in sinks:
        if facts.needs_key and "key" not in route and not route.has_misspelt("key", KEYS):
            endpoint.problem(
                f"{quoted(endpoint.text)} has {facts.needs_key}, which keeps the newest message of "
                f'each key, and {route.label} has no `key`; add one, like key = "{{device}}"'
            )


def _warn_of_slashes(sinks: Sequence[tuple[Endpoint, SinkFacts]], source: SourceFacts) -> None:
    """Says that a sink will refuse what a reference to several levels comes to."""
    rests = {pattern.rest_name for pattern in source.patterns}
    for endpoint, facts in sinks:
        references = [one for template in facts.templates for one in template.references]
        for reference in references if not facts.takes_slashes else ():
            if reference.path == ("topic",) or reference.name in rests:
                endpoint.warn(
                    f"{quoted(endpoint.text)}: `{{{reference}}}` has a / between its levels, and "
                    "such a name will be refused; take one level"
                )


def _report_untyped(sinks: Sequence[tuple[Endpoint, SinkFacts]], source: SourceFacts) -> None:
    """Reports sinks whose messages need a type, which those of the source don't have."""
    for endpoint, facts in sinks:
        if facts.needs_type and not source.has_types:
            endpoint.problem(
                f"{quoted(endpoint.text)} sends messages with a type, and what comes from `from` "
                f"has none; write {quoted(endpoint.text + '#TYPE')[1:-1]}"
            )


def _report_lost_replies(
    sinks: Sequence[tuple[Endpoint, SinkFacts]], sources: Sequence[Endpoint]
) -> None:
    """Reports answers to messages that nobody waits for one of, or that another listener took."""
    source = sources[0].connection
    for endpoint, facts in sinks:
        if facts.replies and endpoint.connection != source:
            endpoint.problem(
                f"{quoted(endpoint.text)} answers clients of [{endpoint.connection}], and `from` "
                f"reads from [{source}]; an answer must go through the listener that the message "
                "came in by"
            )


# --- what becomes of messages


def _read_on_error(route: Section, source: SourceFacts | None) -> OnError:
    losses = source.losses if source else ()
    is_told = source is not None and source.is_told
    default: OnError = "drop" if losses or is_told else "stop"
    if route.raw("on_error") == _DEAD_LETTER:
        route.problem(
            "on_error",
            f'`on_error = "dead_letter"` of {route.label} comes with a later version; write '
            f'"{default}"' + ("" if default == "drop" else ' or "drop"'),
        )
        return default
    options: tuple[OnError, ...] = ("stop", "drop")
    chosen = route.choice("on_error", options, default=default)
    if chosen == "stop" and losses:
        route.problem(
            "on_error",
            f'`on_error = "stop"` of {route.label} needs a source that gives a message again, and '
            f'{losses[0].name} doesn\'t; write "drop" or remove it',
        )
    elif chosen == "stop" and is_told:
        route.problem(
            "on_error",
            f'`on_error = "stop"` of {route.label} would stop it for all of its clients because '
            'of what one of them sent; write "drop" or remove it, and the sender is told',
        )
    return chosen


def _read_guarantee(route: Section) -> Guarantee | None:
    if route.raw("guarantee") is None:
        return None
    options: tuple[Guarantee, ...] = ("at_least_once", "at_most_once")
    chosen = route.choice("guarantee", options, default="at_least_once")
    # What isn't one of them is reported; nothing is held against one that nobody wrote.
    return chosen if chosen == route.raw("guarantee") else None


def _counts_on_more(
    guarantee: Guarantee | None, sinks: Sequence[tuple[Endpoint, SinkFacts]]
) -> bool:
    """Whether it matters to the author what a source could promise."""
    return guarantee != "at_most_once" and any(facts.required for _, facts in sinks)


def _check_guarantee(route: Section, guarantee: Guarantee | None, promise: Promise) -> None:
    broken: tuple[Weakness, ...] = ()
    match guarantee:
        case "at_least_once":
            broken = promise.not_at_least_once
        case "at_most_once":
            broken = promise.not_at_most_once
        case None:
            pass
    for weakness in broken:
        route.problem(
            "guarantee", f'{route.label} does not keep guarantee = "{guarantee}": {weakness.mend}'
        )
