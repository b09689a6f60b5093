"""What `routerd check` prints: each route and its promise, or every problem."""

import json
from collections.abc import Callable, Iterable, Sequence

from routerd.config.models import RouteModel, SinkModel, Table
from routerd.findings import listed
from routerd.problems import Problem
from routerd.terminal import (
    BOLD,
    GREEN,
    MOST_COLUMNS,
    YELLOW,
    Paint,
    plain,
    printable,
    wrapped,
)

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"))
_LABEL = 9
_ROUTE_INDENT = 2 + _LABEL
_NOTE_INDENT = 4


def render_text(
    file: str, table: Table, *, columns: int = MOST_COLUMNS, paint: Paint = plain
) -> str:
    """Each route with what it promises, what those promises rest on, then the warnings."""
    lines: list[str] = []
    for route in table.routes:
        lines += [*_route_lines(route, columns, paint), ""]
    notes = [
        *(("rests on", one) for one in _shared(table.routes, lambda route: route.source.rests_on)),
        *(("hint", one) for one in _shared(table.routes, lambda route: route.source.hints)),
        *(("warning", warning) for warning in table.warnings),
    ]
    for kind, note in notes:
        lines += _note_lines(file, kind, note, columns, paint)
    if notes:
        lines.append("")
    counts = [_count(len(table.routes), "route"), _count(len(table.warnings), "warning")]
    verdict = f"is good: {' and '.join(filter(None, counts))}"
    lead = f"{printable(file)} "
    lines += wrapped(verdict, columns=columns, lead=lead, indent=_NOTE_INDENT)
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
    )


def render_problems(file: str, problems: Sequence[Problem], *, paint: Paint = plain) -> str:
    """Each problem as `FILE:LINE: sentence`, on one line however long: editors go to it."""
    shown = printable(file)
    return "\n".join(f"{paint(one.place(shown), BOLD)} {one.sentence}" for one in problems)


def render_problems_json(file: str, problems: Sequence[Problem]) -> str:
    """The same for programs."""
    return json.dumps({"ok": False, "file": file, "problems": _objects(problems)}, indent=2)


def _route_lines(route: RouteModel, columns: int, paint: Paint) -> list[str]:
    rows = [("from", route.source_text)]
    rows += [("" if place else "to", _sink_text(sink)) for place, sink in enumerate(route.sinks)]
    rows.append(("promise", route.promise))
    session = route.source.session
    if session is not None:
        kept = _time(session.kept_for)
        rows.append(("session", f"{session.name} at {session.peer}, kept {kept}"))
    lines = [paint(route.name, BOLD)]
    for label, text in rows:
        lead = f"  {label:<{_LABEL}}"
        shown = wrapped(printable(text), columns=columns, lead=lead, indent=_ROUTE_INDENT)
        if label == "promise":
            kind = text.partition(":")[0]
            style = GREEN if kind == "at least once" else YELLOW
            shown[0] = shown[0].replace(kind, paint(kind, style), 1)
        lines += shown
    return lines


def _shared(
    routes: Iterable[RouteModel], sentences: Callable[[RouteModel], Iterable[str]]
) -> list[Problem]:
    """What is to be said of several routes, each sentence once, with those that it is about."""
    of: dict[str, list[RouteModel]] = {}
    for route in routes:
        for sentence in sentences(route):
            of.setdefault(sentence, []).append(route)
    return [
        Problem(its[0].line, f"{sentence} ({listed(one.name for one in its)})")
        for sentence, its in of.items()
    ]


def _note_lines(file: str, kind: str, note: Problem, columns: int, paint: Paint) -> list[str]:
    place, label = note.place(printable(file)), f"{kind}:"
    first, *rest = wrapped(
        note.sentence, columns=columns, lead=f"{place} {label} ", indent=_NOTE_INDENT
    )
    style = YELLOW if kind == "warning" else BOLD
    first = f"{paint(place, BOLD)} {paint(label, style)}{first[len(place) + len(label) + 1 :]}"
    return [first, *rest]


def _count(number: int, noun: str) -> str:
    """`3 routes`; empty for none."""
    return f"{number} {noun}{'s' * (number > 1)}" if number else ""


def _route_object(route: RouteModel) -> dict[str, object]:
    session = route.source.session
    return {
        "name": route.name,
        "line": route.line,
        "from": route.source_text,
        "to": [_sink_object(sink) for sink in route.sinks],
        "promise": route.promise,
        "guarantee": route.guarantee,
        "on_error": route.on_error,
        "session": session
        and {"name": session.name, "broker": session.peer, "expiry_seconds": session.kept_for},
        "rests_on": list(route.source.rests_on),
        "hints": list(route.source.hints),
    }


def _sink_text(sink: SinkModel) -> str:
    """Its address, and what it says beside that."""
    terms = sink.terms
    return sink.text if terms is None or terms.is_default else f"{sink.text}, {terms}"


def _sink_object(sink: SinkModel) -> dict[str, object]:
    terms = {} if sink.terms is None else {sink.terms.key: sink.terms.value}
    return {"address": sink.text, "required": sink.required, **terms}


def _objects(problems: Iterable[Problem]) -> list[dict[str, object]]:
    return [{"line": problem.line, "sentence": problem.sentence} for problem in problems]


def _time(seconds: int | None) -> str:
    if seconds is None:
        return "as long as the broker's configuration says"
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"for {seconds // size}{unit}"
    return f"for {seconds}s"
