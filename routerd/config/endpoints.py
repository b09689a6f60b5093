"""Addresses of a route as the table writes them: text or table form, one or a list."""

from collections.abc import Mapping, Sequence

from routerd.checks import Checks, Endpoint
from routerd.config.connections import NAME, Connections
from routerd.connectors.checks import CHECKS
from routerd.findings import KeyPath, did_you_mean, kind_of, listed, nearest, quoted
from routerd.section import Section

_SCHEME_HINTS = {
    "websocket": "`ws:` as `from`, `group:` as `to`",
    "wss": "`ws:`; TLS belongs to the listener",
    "mqtts": "`mqtt:`; TLS belongs to the `url` of [mqtt]",
    "stdout": "`log:`",
    "topic": "`mqtt:` or `kafka:`",
}
KEYS = (
    "name", "from", "to", "key", "headers", "when", "body", "payload", "on_error", "guarantee",
    "inflight", "inflight_bytes", "max_destinations",
)  # fmt: skip
"""Of a route."""


def read_endpoints(route: Section, key: str, connections: Connections) -> list[Endpoint]:
    """The addresses under `from` or `to` that can be taken apart."""
    value = route.raw(key)
    if value is None:
        return []
    if not isinstance(value, list):
        value, paths = [value], [(*route.path, key)]
    else:
        paths = [(*route.path, key, index) for index in range(len(value))]
        if not value:
            route.problem(key, f"`{key}` of {route.label} is an empty list; write an address")
    found = (_endpoint(route, key, one, path) for one, path in zip(value, paths, strict=True))
    return [endpoint for endpoint in found if endpoint and _is_known(endpoint, connections)]


def checks_of(endpoint: Endpoint) -> Checks:
    """The checks of the connector that an address belongs to."""
    return CHECKS[endpoint.scheme]


def report_twins(route: Section, endpoints: Sequence[Endpoint]) -> None:
    """Reports sinks of one route that are the same: each message would come twice."""
    seen: dict[tuple[str, str, str], Endpoint] = {}
    for endpoint in endpoints:
        rest = endpoint.rest.removeprefix("/") if endpoint.scheme == "group" else endpoint.rest
        first = seen.setdefault((endpoint.scheme, endpoint.connection, rest), endpoint)
        if first is not endpoint:
            endpoint.problem(
                f"{quoted(endpoint.text)} stands in `to` of {route.label} twice, see line "
                f"{first.line()}; remove one"
            )


def _endpoint(route: Section, key: str, value: object, path: KeyPath) -> Endpoint | None:
    steps = path[len(route.path) :]
    options = route.inner({}, *steps, label=route.label)
    if isinstance(value, Mapping):
        options = route.inner(value, *steps, label=f"`{key}` of {route.label}")
        options.hints = dict.fromkeys(
            KEYS,
            f"it belongs to the route: write it above [[route.{key}]], or outside the braces",
        )
        if "address" not in value:
            slip = next((one for one in value if nearest(one, ["address"])), None)
            options.problem(
                slip,
                f"`{key}` of {route.label} is a table without `address`; "
                + (f"write `address` for `{slip}`" if slip else 'add address = "..."'),
            )
            return None
        value = options.text("address")
        path = (*path, "address")
        if value is None:
            return None
    if not isinstance(value, str):
        route.findings.problem(
            path,
            f'`{key}` of {route.label} must be an address like "kafka:TOPIC", a table with '
            f"`address`, or a list of them, not {kind_of(value)}",
        )
        return None
    return _taken_apart(value, options=options, path=path, what=f"`{key}` of {route.label}")


def _taken_apart(text: str, *, options: Section, path: KeyPath, what: str) -> Endpoint | None:
    head, colon, rest = text.partition(":")
    scheme, dot, name = head.partition(".")
    if not colon or not NAME.fullmatch(scheme):
        options.findings.problem(
            path,
            f"{what}: {quoted(text)} is no address; write SCHEME:REST with one of "
            f"{_schemes()} in front",
        )
        return None
    if scheme not in CHECKS:
        hint = _SCHEME_HINTS.get(scheme)
        meant = f"; write {hint}" if hint else did_you_mean(scheme, CHECKS)
        options.findings.problem(
            path,
            f"{what}: {quoted(text)} has the scheme `{scheme}`, which routerd does not know"
            f"{meant or f'; it knows {_schemes()}'}",
        )
        return None
    if rest.startswith("//"):
        options.findings.problem(
            path,
            f"{what}: {quoted(text)} is a URL; hosts stand in the tables of connections, an "
            'address is like "mqtt:sensors/#" or "kafka:telemetry"',
        )
        return None
    table = CHECKS[scheme].table or scheme
    connection = table + dot + name
    return Endpoint(text, scheme, connection, rest, options, path)


def _is_known(endpoint: Endpoint, connections: Connections) -> bool:
    """Reports a connection that the file doesn't have; the address itself is checked anyway."""
    key = endpoint.connection
    if key not in connections.written:
        checks = checks_of(endpoint)
        if checks.table is None:
            endpoint.problem(
                f"{quoted(endpoint.text)}: `{endpoint.scheme}` has no connections; "
                f"write {endpoint.scheme}:{quoted(endpoint.rest)[1:-1]}"
            )
            return False
        if checks.table in connections.misspelt:
            return True  # its header is reported, with the name that it should have
        siblings = [one for one in connections.written if one.split(".")[0] == checks.table]
        meant = did_you_mean(key, siblings)
        mend = meant or f"; add [{key}] with {checks.main_key}"
        endpoint.problem(
            f"{quoted(endpoint.text)} needs the connection [{key}], which the file does not have"
            f"{mend}"
        )
    return True


def _schemes() -> str:
    return listed(f"{scheme}:" for scheme in CHECKS)
