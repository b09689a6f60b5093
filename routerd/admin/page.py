"""The status page for people: what `page.html` shows, in words and in the order that matters.

jinja2 escapes all that it puts in; `page.css` and `page.js` come from this daemon too, and the
browser is told to take nothing from elsewhere.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Literal

import jinja2
import trio

from routerd.admin import words
from routerd.admin.facts import edge_facts, heartbeat_age, moment
from routerd.admin.history import EVERY, SAMPLES, History
from routerd.metrics import oldest_age
from routerd.status import DaemonStatus, RouteState, RouteStatus

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
WORST_FIRST: Final[tuple[RouteState, ...]] = (
    "failed", "backoff", "starting", "running", "stopped",
)  # fmt: skip
_SYMBOLS: Final[dict[RouteState, str]] = {
    "starting": "…", "running": "●", "backoff": "↻", "failed": "✕", "stopped": "○",
}  # fmt: skip
_ROUTES_A_TURN: Final = 15
"""Routes before others have their turn: one to two milliseconds."""
_END_OF_ROUTE: Final = "</tbody>"
_FRESH_FOR: Final = 1.0
"""Seconds for which a page is shown to all who ask: many readers cost no more than one."""
_NAMES: Final = 3
_STEP: Final = 3
_SPARKLINE: Final = (_STEP * (SAMPLES - 1), 30)
"""Width and height in the sparkline's own units."""

Mood = Literal["well", "uneasy", "ill"]


@dataclass(frozen=True)
class RouteView:
    """One route as the page has it; `route` itself is shown as it is."""

    index: int
    route: RouteStatus
    state: RouteState
    symbol: str
    since: float
    rate: str
    most: str
    line: str
    oldest: str
    dropped: int


class Page:
    """Renders the page, for one reader at a time."""

    def __init__(self, status: DaemonStatus, history: History) -> None:
        self._status = status
        self._history = history
        self._template = _environment().get_template("page.html")
        self._rendering = trio.Lock()
        self._html = b""
        self._made_at = float("-inf")

    async def render(self) -> bytes:
        """The whole page, not older than a second. In slices: others have their turn meanwhile."""
        async with self._rendering:
            if trio.current_time() >= self._made_at + _FRESH_FOR:
                self._html = await self._made()
                self._made_at = trio.current_time()
            return self._html

    async def _made(self) -> bytes:
        parts, routes = bytearray(), 0
        for part in self._template.generate(self._context()):
            # A lone surrogate, as os.fsdecode makes them, becomes its escape.
            parts += part.encode("utf-8", "backslashreplace")
            # Nowhere else: what the template reads of one route must be of one moment. Only the
            # template itself can say this: in what it puts in, `<` is escaped.
            if _END_OF_ROUTE in part:
                routes += 1
                if routes % _ROUTES_A_TURN == 0:
                    await trio.lowlevel.checkpoint()
        return bytes(parts)

    def _context(self) -> dict[str, object]:
        status = self._status
        running = sum(route.state == "running" for route in status.routes)
        mood, verdict = _verdict(status)
        return {
            "status": status,
            "running": running,
            "mood": mood,
            "verdict": verdict,
            "views": self._views(),
            "edge": edge_facts(status.listeners),
            "now": time.time(),
            "lag": words.lag(self._history.loop_lag),
            "heartbeat": heartbeat_age(status),
            "minutes": round(EVERY * SAMPLES / 60),
            "width": _SPARKLINE[0],
            "height": _SPARKLINE[1],
        }

    def _views(self) -> Iterator[RouteView]:
        """Each route, made when it is its turn; those in trouble come first."""
        for index, route in sorted(enumerate(self._status.routes), key=lambda one: _rank(one[1])):
            rates = self._history.rates(index)
            state = route.state
            yield RouteView(
                index=index,
                route=route,
                state=state,
                symbol=_SYMBOLS[state],
                since=route.since if route.standing is None else route.standing.since,
                rate=words.rate(rates[-1] if rates else None),
                most=words.rate(max(rates, default=0.0)),
                line=sparkline(rates),
                oldest=_age(route),
                dropped=sum(route.dropped.values()),
            )


def read_asset(name: str) -> bytes:
    """`page.css` or `page.js`."""
    return (files("routerd.admin") / name).read_bytes()


def sparkline(values: Sequence[float]) -> str:
    """The points of an SVG polyline, newest at the right; empty where nothing happened."""
    most = max(values, default=0.0)
    if not most:
        return ""
    width, height = _SPARKLINE
    places = range(width - _STEP * (len(values) - 1), width + 1, _STEP)
    lowest, scale = height - 1, (height - 2) / most
    pairs = zip(places, values, strict=True)
    return " ".join([f"{x},{lowest - round(value * scale)}" for x, value in pairs])


def _rank(route: RouteStatus) -> tuple[int, bool]:
    """Smaller is worse."""
    return WORST_FIRST.index(route.state), not route.waiting


def _verdict(status: DaemonStatus) -> tuple[Mood, str]:
    """Whether all is well, in one sentence."""
    routes = status.routes
    if not routes:
        return "uneasy", "No route has been opened yet."
    if unrest := _unrest(routes):
        return unrest
    well = f"All {len(routes)} routes run" if len(routes) > 1 else "The one route runs"
    if down := [connection.key for connection in status.connections if connection.trouble()]:
        return "uneasy", f"{well}, but {_named(down)} {_verb(down, 'has', 'have')} trouble."
    return "well", f"{well}."


def _unrest(routes: list[RouteStatus]) -> tuple[Mood, str] | None:
    """The worst that can be said of some routes, if there is anything."""
    whole = f"{len(routes)} routes"
    if failed := [route.name for route in routes if route.state == "failed"]:
        verb = _verb(failed, "needs", "need")
        return "ill", f"{len(failed)} of {whole} {verb} you: {_named(failed)}."
    if again := [route.name for route in routes if route.state == "backoff"]:
        verb = _verb(again, "is", "are")
        return "uneasy", f"{len(again)} of {whole} {verb} being tried again: {_named(again)}."
    if late := [route.name for route in routes if route.state != "running"]:
        verb = _verb(late, "does", "do")
        return "uneasy", f"{len(late)} of {whole} {verb} not run: {_named(late)}."
    if waiting := [route.name for route in routes if route.waiting]:
        verb = _verb(waiting, "waits", "wait")
        said = f"All run, {len(waiting)} of {whole} {verb} for something: {_named(waiting)}."
        return "uneasy", said
    return None


def _verb(names: list[str], one: str, several: str) -> str:
    return one if len(names) == 1 else several


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES])
    return shown if len(names) <= _NAMES else f"{shown} and {len(names) - _NAMES} more"


def _age(route: RouteStatus) -> str:
    age = oldest_age(route, trio.current_time())
    return words.duration(age) if age >= 1 else ""


def _environment() -> jinja2.Environment:
    folder = files("routerd.admin")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "moment": moment,
        "duration": words.duration,
        "count": words.count,
        "size": words.size,
    }
    return environment
