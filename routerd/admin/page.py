"""The status page for people: the routes in one table, made here, without JavaScript."""

import re
import time
from html import escape
from typing import Final

from routerd.admin.facts import moment
from routerd.status import DaemonStatus, RouteState, RouteStatus

# `none` but for the style below: were something unescaped after all, it would not run.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem; }
tr { border-bottom: 1px solid #8884; }
th, td.n { white-space: nowrap; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
th[scope=row] { white-space: normal; }
code { font-size: .9em; }
div { overflow-x: auto; }
.running { color: #1a7f37; } .starting, .backoff { color: #b26a00; } .failed { color: #c62828; }
.small { font-size: .85em; font-weight: normal; opacity: .8; }
"""

_REFRESH_SECONDS: Final = 10

_HEAD: Final = (
    "route", "state", "from", "to", "received", "delivered", "dropped", "in flight", "restarts",
)  # fmt: skip

_SYMBOLS: Final[dict[RouteState, str]] = {
    "starting": "…", "running": "●", "backoff": "↻", "failed": "✕", "stopped": "○",
}  # fmt: skip


def render_page(status: DaemonStatus) -> str:
    """The whole page. All that is not ours in it is escaped."""
    running = sum(route.state == "running" for route in status.routes)
    head = "".join(f'<th scope="col">{each}</th>' for each in _HEAD)
    rows = "".join(_row(route) for route in status.routes)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}">'
        f"<title>routerd: {running} of {len(status.routes)} routes running</title>"
        f"<style>{_STYLE}</style></head><body><h1>routerd {escape(status.version)}</h1>"
        f"<p>{running} of {len(status.routes)} routes running at {moment(time.time())}, "
        f"started {moment(status.started_at)}.{_listening(status)}</p>"
        f"<div><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="small"><a href="status.json">status.json</a> <a href="metrics">metrics</a> '
        '<a href="readyz">readyz</a> <a href="livez">livez</a></p></body></html>\n'
    )


def _listening(status: DaemonStatus) -> str:
    return "".join(
        f" {escape(what)} on <code>{escape(address)}</code>."
        for what, address in status.listening.items()
    )


def _row(route: RouteStatus) -> str:
    sinks = "<br>".join(_address(sink.address) for sink in route.sinks)
    numbers = (
        route.received,
        route.delivered,
        sum(route.dropped.values()),
        f"{route.inflight} / {route.inflight_limit}",
        route.restarts,
    )
    return (
        f'<tr><th scope="row">{escape(route.name)}'
        f'<br><span class="small">{escape(route.promise)}</span></th>'
        f"<td>{_state(route)}</td><td>{_address(route.source)}</td><td>{sinks}</td>"
        + "".join(f'<td class="n">{number}</td>' for number in numbers)
        + "</tr>"
    )


def _address(text: str) -> str:
    """An address that may be broken where a person would break it."""
    breakable = re.sub("([/:])", r"\1<wbr>", escape(text))
    return f"<code>{breakable}</code>"


def _state(route: RouteStatus) -> str:
    """The state, since when, and whatever explains it."""
    state = route.state
    lines = [] if route.standing else [f"since {moment(route.since)}"]
    if route.waiting:
        lines.append(f"waits for {route.waiting}")
    if route.reason:
        lines.append(route.reason)
    if route.next_try_at is not None:
        lines.append(f"tries again at {moment(route.next_try_at)}")
    if standing := route.standing:
        said = f"{standing.size} bytes from {standing.address}: {standing.error}"
        lines.append(f"stands since {moment(standing.since)} at a message of {said}")
    shown = "".join(f'<br><span class="small">{escape(line)}</span>' for line in lines)
    return f'<span class="{state}">{_SYMBOLS[state]} {state}</span>{shown}'
