"""What `routerd check` prints: each route and its promise, or every problem."""

import json
from collections.abc import Iterable, Sequence

from routerd.config.models import RouteModel, Table
from routerd.findings import listed
from routerd.problems import Problem

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"))


def render_text(table: Table) -> str:
    """Each route with what it promises, what those promises rest on, then the warnings."""
    lines = [line for route in table.routes for line in _route_lines(route)]
    lines += _rests_on_lines(table.routes)
    lines += [f"warning: line {one.line}: {one.sentence}" for one in table.warnings]
    return "\n".join(lines)


def render_json(table: Table) -> str:
    """The same facts for programs."""
    return json.dumps(
        {
            "ok": True,
            "routes": [_route_object(route) for route in table.routes],
            "warnings": _objects(table.warnings),
        },
        indent=2,
        ensure_ascii=False,
    )


def render_problems(file: str, problems: Sequence[Problem]) -> str:
    """Each problem as `FILE:LINE: sentence`."""
    return "\n".join(problem.shown(file) for problem in problems)


def render_problems_json(file: str, problems: Sequence[Problem]) -> str:
    """The same for programs."""
    return json.dumps(
        {"ok": False, "file": file, "problems": _objects(problems)}, indent=2, ensure_ascii=False
    )


def _route_lines(route: RouteModel) -> list[str]:
    to = ", ".join(sink.text for sink in route.sinks)
    lines = [f"{route.name}: {route.source_text} -> {to}; {route.promise}"]
    session = route.source.session
    if session is not None:
        kept = _time(session.kept_for)
        lines.append(f"    session {session.name} at {session.peer}, kept {kept}")
    return lines


def _rests_on_lines(routes: Iterable[RouteModel]) -> list[str]:
    """Each condition once, with the routes whose promise rests on it."""
    names: dict[str, list[str]] = {}
    for route in routes:
        for condition in route.source.rests_on:
            names.setdefault(condition, []).append(route.name)
    return [f"rests on: {condition} ({listed(of)})" for condition, of in names.items()]


def _route_object(route: RouteModel) -> dict[str, object]:
    session = route.source.session
    return {
        "name": route.name,
        "line": route.line,
        "from": route.source_text,
        "to": [{"address": sink.text, "required": sink.required} for sink in route.sinks],
        "promise": route.promise,
        "guarantee": route.guarantee,
        "on_error": route.on_error,
        "session": session
        and {"name": session.name, "broker": session.peer, "expiry_seconds": session.kept_for},
        "rests_on": list(route.source.rests_on),
    }


def _objects(problems: Iterable[Problem]) -> list[dict[str, object]]:
    return [{"line": problem.line, "sentence": problem.sentence} for problem in problems]


def _time(seconds: int | None) -> str:
    if seconds is None:
        return "as long as the broker's configuration says"
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"for {seconds // size}{unit}"
    return f"for {seconds}s"
