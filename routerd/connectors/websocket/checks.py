"""What may stand in `[ws]`, behind `ws:` and behind `group:`."""

from collections.abc import Sequence
from typing import cast, get_args

from routerd.address import (
    AddressError,
    Pattern,
    group_pattern,
    parse_group_path,
    parse_path_pattern,
    split_fragment,
)
from routerd.checks import (
    Endpoint,
    SinkFacts,
    SourceFacts,
    Terms,
    refuse_required,
    report_overlaps,
)
from routerd.connectors.websocket.acks.promise import with_promise
from routerd.connectors.websocket.certificate_keys import CERTIFICATE_KEYS, read_certificate
from routerd.connectors.websocket.codecs import CODECS
from routerd.connectors.websocket.codecs.codec import BadType, Codec
from routerd.connectors.websocket.entry import checks as entry
from routerd.connectors.websocket.limits import read_limits
from routerd.connectors.websocket.paths import SessionEvent, is_event
from routerd.connectors.websocket.settings import (
    GroupSinkSpec,
    ListenerSettings,
    ReplySinkSpec,
    WebSocketSourceSpec,
)
from routerd.feed import POLICIES, Slow
from routerd.findings import Findings, KeyPath, did_you_mean, listed, quoted
from routerd.section import Section
from routerd.template import TemplateError

_LISTEN = 'write listen = "HOST:PORT"'
_LIMITS = "limits stand in a table of their own: [ws.limits]"
_ANSWERS = "write `require_ack = true` to let in only clients that want answers"
HINTS = {
    "ack": _ANSWERS,
    "subprotocol": _ANSWERS,
    "subprotocols": _ANSWERS,
    "host": _LISTEN,
    "port": _LISTEN,
    "bind": _LISTEN,
    "address": _LISTEN,
    "url": _LISTEN,
    "key": "it is called `cert_key`",
    "certificate": "it is called `cert`",
    "tls": "a listener with `cert` speaks TLS; remove it",
    "ca": "clients are not asked for certificates; remove it",
    **dict.fromkeys(("limit", "max_message", "ping", "ping_every"), _LIMITS),
    "path": 'paths stand in the routes: from = "ws:/PATH"',
    **entry.HINTS,
}
_LATER = ("types", "type")
_SLOW = 'it belongs to a group: to = { address = "group:/PATH", slow = "latest" }'
METADATA = frozenset({"session", "time", "query", "header", "peer", "path"})


class WebSocketChecks:
    """The load-time half of the WebSocket listener and its groups."""

    connector = "websocket"
    table = "ws"
    keys = (
        "listen", "codec", "bad_frames", "goodbye_spread", "limits", "require_ack", "paths",
        "trusted_proxies",
        *entry.KEYS, *CERTIFICATE_KEYS,
    )  # fmt: skip
    main_key = 'listen = "127.0.0.1:8800"'

    def connection(self, key: str, section: Section) -> ListenerSettings | None:
        """Where one listener binds."""
        later = dict.fromkeys(_LATER, "it comes with a later version; remove it")
        section.hints = {**later, **HINTS, "policy": _SLOW, "slow": _SLOW}
        host, port = section.listen("listen", default=("", 0))
        if "listen" not in section and not section.has_misspelt("listen", self.keys):
            section.problem(None, f"{section.label} has no `listen`; add {self.main_key}")
        codec = section.choice("codec", [*CODECS], default="raw")
        bad_frames = section.integer("bad_frames", least=1, most=1_000_000, default=10)
        spread = section.duration("goodbye_spread", least="0s", most="5m", default=2.0)
        limits = read_limits(section, key)
        who = entry.read_entry(section)
        certificate = read_certificate(section)
        require_ack = section.flag("require_ack", default=False)
        section.finish()
        if not host:
            return None
        return ListenerSettings(
            key,
            host,
            port,
            codec=codec,
            bad_frames=bad_frames,
            goodbye_spread=spread,
            limits=limits,
            entry=who,
            certificate=certificate,
            require_ack=require_ack,
        )

    def listens_on(self, settings: object) -> tuple[str, int]:
        """Where it binds."""
        listener = cast("ListenerSettings", settings)  # made above
        return listener.host, listener.port

    def review(
        self, settings: object, specs: Sequence[object], *, path: KeyPath, findings: Findings
    ) -> None:
        """Reports tables of paths that no route has."""
        known: list[Pattern] = []
        for spec in specs:
            if isinstance(spec, WebSocketSourceSpec):
                known += [pattern for pattern, _ in spec.wanted]
            elif isinstance(spec, GroupSinkSpec):
                known.append(group_pattern(spec.segments))
        who = cast("ListenerSettings", settings).entry
        entry.report_unreachable(who, known, path=path, findings=findings)

    def source(
        self, endpoints: Sequence[Endpoint], *, settings: object | None, route: str
    ) -> SourceFacts | None:
        """Paths that clients send on."""
        codec = _codec_of(settings)
        found = [(endpoint, self._path(endpoint, codec)) for endpoint in endpoints]
        wanted = [(endpoint, one) for endpoint, one in found if one is not None]
        for are_events in (False, True):  # who takes any type takes no events
            some = [(endpoint, one) for endpoint, one in wanted if is_event(one[1]) is are_events]
            report_overlaps(
                [(endpoint, pattern) for endpoint, (pattern, _) in some],
                kinds=[kind for _, (_, kind) in some],
            )
        if len(wanted) < len(endpoints):
            return None
        spec = WebSocketSourceSpec(tuple(one for _, one in wanted))
        events = [is_event(kind) for _, kind in spec.wanted]
        has_types = bool(codec and codec.has_types)
        facts = SourceFacts(
            spec,
            tuple(pattern for pattern, _ in spec.wanted),
            _metadata(settings, has_types=has_types or all(events)),
            hidden=_hidden(settings),
            has_types=has_types and not any(events),
        )
        require_ack = settings is not None and cast("ListenerSettings", settings).require_ack
        return with_promise(facts, require_ack=require_ack, are_events=events)

    @staticmethod
    def _path(endpoint: Endpoint, codec: Codec | None) -> tuple[Pattern, str | None] | None:
        endpoint.options.finish(hints={"qos": "that is MQTT's; remove it"})
        if endpoint.scheme == "reply":
            endpoint.problem(
                f"{quoted(endpoint.text)} as `from`: an answer is where messages go to; write "
                "ws:/PATH"
            )
            return None
        if endpoint.scheme == "group":
            endpoint.problem(
                f"{quoted(endpoint.text)} as `from`: a group is where messages go to; what its "
                f"members send comes from ws:{quoted(endpoint.rest)[1:-1]}"
            )
            return None
        split = _split_type(endpoint, codec)
        if split is None:
            return None
        path, kind = split
        try:
            return parse_path_pattern(path), kind
        except AddressError as exc:
            endpoint.problem(f"{quoted(endpoint.text)}: {exc}")
            return None

    def sink(self, endpoint: Endpoint, *, settings: object | None) -> SinkFacts | None:
        """A group: whoever is connected to the path that its templates come to; or the sender."""
        what = "a group" if endpoint.scheme == "group" else "an answer"
        refuse_required(endpoint, f"{what} is best effort")
        slow: Slow = "disconnect"
        if endpoint.scheme == "group":
            slow = endpoint.options.choice("slow", POLICIES, default=slow)
        endpoint.options.finish(hints={"policy": 'it is called `slow`: slow = "latest"'})
        if endpoint.scheme == "reply":
            return _reply(endpoint, _codec_of(settings))
        if endpoint.scheme == "ws":
            endpoint.problem(
                f"{quoted(endpoint.text)} as `to`: clients are reached through a group; write "
                f"group:{quoted(endpoint.rest)[1:-1]}"
            )
            return None
        codec = _codec_of(settings)
        split = _split_type(endpoint, codec)
        if split is None:
            return None
        path, kind = split
        try:
            segments = parse_group_path(path)
        except (AddressError, TemplateError) as exc:
            endpoint.problem(f"{quoted(endpoint.text)}: {exc}")
            return None
        if not endpoint.insist(*segments):
            return None
        return SinkFacts(
            GroupSinkSpec(split_fragment(endpoint.text)[0], segments, kind, slow),
            required=False,
            templates=segments,
            needs_type=bool(codec and codec.has_types and kind is None),
            needs_key='slow = "latest"' if slow == "latest" else "",
            terms=Terms(group_pattern(segments), "group", "slow", slow, slow == "disconnect"),
        )


def _reply(endpoint: Endpoint, codec: Codec | None) -> SinkFacts | None:
    path, hash_sign, fragment = endpoint.rest.partition("#")
    if path or (hash_sign and not fragment):
        endpoint.problem(
            f"{quoted(endpoint.text)}: an answer goes to the sender, wherever it is connected; "
            f"write {endpoint.text.partition(':')[0]}: or, for a message type, "
            f"{endpoint.text.partition(':')[0]}:#TYPE"
        )
        return None
    found = _with_type(endpoint, path, fragment, codec) if fragment else (path, None)
    if found is None:
        return None
    return SinkFacts(
        ReplySinkSpec(found[1]),
        required=False,
        templates=(),
        needs_type=bool(codec and codec.has_types and found[1] is None),
        replies=True,
    )


def _metadata(settings: object | None, *, has_types: bool) -> frozenset[str]:
    """What messages from a listener have; of one whose table is wrong, anything may be right."""
    found = METADATA | {"type"} if has_types else METADATA
    listener = cast("ListenerSettings | None", settings)
    return found | {"claim"} if listener is None or listener.entry.has_claims else found


def _hidden(settings: object | None) -> frozenset[tuple[str, ...]]:
    """What nobody may read of a handshake, since a token may stand there."""
    listener = cast("ListenerSettings | None", settings)
    if listener is None or not listener.entry.has_claims:
        return frozenset()
    auths = [rule.auth for rule in listener.entry.rules if rule.auth is not None]
    queries = [("query", auth.query) for auth in auths if auth.query is not None]
    return frozenset([("header", "authorization"), *queries])


def _codec_of(settings: object | None) -> Codec | None:
    """That of a listener; None if its table is wrong or missing, which is reported already."""
    return None if settings is None else CODECS[cast("ListenerSettings", settings).codec]


def _split_type(endpoint: Endpoint, codec: Codec | None) -> tuple[str, str | None] | None:
    """The path of an address, and the type of messages behind its `#`; None if one is wrong."""
    path, fragment = split_fragment(endpoint.rest)
    if not path:
        endpoint.problem(f"{quoted(endpoint.text)} names no path; write {endpoint.scheme}:/PATH")
    elif endpoint.scheme == "ws" and not path.startswith("/"):
        shown = quoted(endpoint.rest)[1:-1]
        endpoint.problem(f"{quoted(endpoint.text)}: a path begins with `/`; write ws:/{shown}")
    elif fragment is None:
        return path, None
    elif not fragment:
        endpoint.problem(
            f"{quoted(endpoint.text)} ends in `#`; the rest of a path is written `{{rest#}}`"
        )
    elif is_event(fragment):
        return _with_event(endpoint, path, fragment)
    else:
        return _with_type(endpoint, path, fragment, codec)
    return None


def _with_event(endpoint: Endpoint, path: str, fragment: str) -> tuple[str, str] | None:
    """A path and what happens to each of its sessions."""
    events = get_args(SessionEvent)
    if endpoint.scheme != "ws":
        endpoint.problem(
            f"{quoted(endpoint.text)}: types that begin with @ are session events, which only "
            "happen and can't be sent; write another type"
        )
    elif fragment not in events:
        endpoint.problem(
            f"{quoted(endpoint.text)}: #{quoted(fragment)[1:-1]} is no session event"
            f"{did_you_mean(fragment, events) or f'; there are {listed(events)}'}"
        )
    else:
        return path, fragment
    return None


def _with_type(
    endpoint: Endpoint, path: str, fragment: str, codec: Codec | None
) -> tuple[str, str | None] | None:
    if codec is None:
        return path, None
    try:
        return path, codec.read_type(fragment)
    except BadType as exc:
        endpoint.problem(
            f"{quoted(endpoint.text)}: #{quoted(fragment)[1:-1]} is no message type of "
            f"[{endpoint.connection}]; {exc}"
        )
        return None
