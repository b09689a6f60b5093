"""What may stand in `[ws]`, behind `ws:` and behind `group:`."""

from collections.abc import Sequence
from typing import cast

from routerd.address import (
    AddressError,
    Pattern,
    parse_group_path,
    parse_path_pattern,
    split_fragment,
)
from routerd.checks import (
    Endpoint,
    SinkFacts,
    SourceFacts,
    Weakness,
    refuse_required,
    report_overlaps,
)
from routerd.connectors.websocket.settings import (
    GroupSinkSpec,
    ListenerSettings,
    WebSocketSourceSpec,
)
from routerd.findings import quoted
from routerd.section import Section
from routerd.template import TemplateError

_LISTEN = 'write listen = "HOST:PORT"'
HINTS = {
    "host": _LISTEN,
    "port": _LISTEN,
    "bind": _LISTEN,
    "address": _LISTEN,
    "url": _LISTEN,
    "path": 'paths stand in the routes: from = "ws:/PATH"',
    "paths": 'paths stand in the routes: from = "ws:/PATH"',
}
_LATER = (
    "codec", "codecs", "types", "type", "origins", "origin", "auth", "limits", "policy", "cert",
    "cert_key", "max_message", "ping",
)  # fmt: skip
METADATA = frozenset({"session", "time", "query", "header"})
_NO_MEMORY = Weakness(
    "WebSocket",
    "a WebSocket client doesn't give a message again; read from mqtt: at QoS 1",
)


class WebSocketChecks:
    """The load-time half of the WebSocket listener and its groups."""

    connector = "websocket"
    table = "ws"
    keys = ("listen",)
    main_key = 'listen = "127.0.0.1:8800"'

    def connection(self, key: str, section: Section) -> ListenerSettings | None:
        """Where one listener binds."""
        later = dict.fromkeys(_LATER, "it comes with a later version; remove it")
        section.hints = {**later, **HINTS}
        host, port = section.listen("listen", default=("", 0))
        if "listen" not in section and not section.has_misspelt("listen", self.keys):
            section.problem(None, f"{section.label} has no `listen`; add {self.main_key}")
        section.finish()
        return ListenerSettings(key, host, port) if host else None

    def listens_on(self, settings: object) -> tuple[str, int]:
        """Where it binds."""
        listener = cast("ListenerSettings", settings)  # made above
        return listener.host, listener.port

    def source(
        self, endpoints: Sequence[Endpoint], *, settings: object | None, route: str
    ) -> SourceFacts | None:
        """Paths that clients send on."""
        found = [(endpoint, self._path(endpoint)) for endpoint in endpoints]
        paths = [(endpoint, pattern) for endpoint, pattern in found if pattern is not None]
        report_overlaps(paths)
        if len(paths) < len(endpoints):
            return None
        patterns = tuple(pattern for _, pattern in paths)
        return SourceFacts(WebSocketSourceSpec(patterns), patterns, METADATA, losses=(_NO_MEMORY,))

    @staticmethod
    def _path(endpoint: Endpoint) -> Pattern | None:
        endpoint.options.finish(hints={"qos": "that is MQTT's; remove it"})
        if endpoint.scheme == "group":
            endpoint.problem(
                f"{quoted(endpoint.text)} as `from`: a group is where messages go to; what its "
                f"members send comes from ws:{quoted(endpoint.rest)[1:-1]}"
            )
            return None
        path = _without_type(endpoint)
        if path is None:
            return None
        try:
            return parse_path_pattern(path)
        except AddressError as exc:
            endpoint.problem(f"{quoted(endpoint.text)}: {exc}")
            return None

    def sink(self, endpoint: Endpoint, *, settings: object | None) -> SinkFacts | None:
        """A group: whoever is connected to the path that its templates come to."""
        refuse_required(endpoint, "a group is best effort")
        endpoint.options.finish()
        if endpoint.scheme == "ws":
            endpoint.problem(
                f"{quoted(endpoint.text)} as `to`: clients are reached through a group; write "
                f"group:{quoted(endpoint.rest)[1:-1]}"
            )
            return None
        path = _without_type(endpoint)
        if path is None:
            return None
        try:
            segments = parse_group_path(path)
        except (AddressError, TemplateError) as exc:
            endpoint.problem(f"{quoted(endpoint.text)}: {exc}")
            return None
        if not endpoint.insist(*segments):
            return None
        return SinkFacts(GroupSinkSpec(endpoint.text, segments), required=False, templates=segments)


def _without_type(endpoint: Endpoint) -> str | None:
    """The path of an address; message types come later."""
    path, fragment = split_fragment(endpoint.rest)
    if not path:
        endpoint.problem(f"{quoted(endpoint.text)} names no path; write {endpoint.scheme}:/PATH")
        return None
    if endpoint.scheme == "ws" and not path.startswith("/"):
        shown = quoted(endpoint.rest)[1:-1]
        endpoint.problem(f"{quoted(endpoint.text)}: a path begins with `/`; write ws:/{shown}")
        return None
    if fragment is None:
        return path
    if not fragment:
        endpoint.problem(
            f"{quoted(endpoint.text)} ends in `#`; the rest of a path is written `{{rest#}}`"
        )
    else:
        endpoint.problem(
            f"{quoted(endpoint.text)}: message types, #{quoted(fragment)[1:-1]}, come with a later "
            "version; write the path alone"
        )
    return None
