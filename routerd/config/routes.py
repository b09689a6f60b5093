"""The `[[route]]` tables: their keys, and what can be said of all routes together."""

import re
from collections.abc import Mapping

from routerd.config.agreements import Agreements
from routerd.config.connections import Connections
from routerd.config.endpoints import KEYS
from routerd.config.misplaced import Misplaced
from routerd.config.models import RouteModel
from routerd.config.route import HINTS, read_route
from routerd.findings import kind_of, quoted
from routerd.section import Section

_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]{1,200}")


def read_routes(root: Section, connections: Connections) -> tuple[RouteModel, ...]:
    """Every route of the file that is right; what is wrong with the others is in the findings."""
    models: list[RouteModel] = []
    names: dict[str, int] = {}
    sessions: dict[tuple[str, str], str] = {}
    agreements = Agreements()
    for index, values in enumerate(_tables(root)):
        route = root.inner(values, "route", index, label=f"route number {index + 1}")
        route.hints = HINTS
        name = _read_name(route, names)
        model = read_route(route, name=name, connections=connections, agreements=agreements)
        if model is not None:
            _check_session(route, model, sessions)
            models.append(model)
    return tuple(models)


def _tables(root: Section) -> list[Mapping[str, object]]:
    value = root.raw("route")
    if value is None and "routes" in root:
        return []  # that it is written [[route]] is said there
    if value is None or value == []:
        root.problem("route", "the file has no route; add [[route]] with `name`, `from` and `to`")
        return []
    if isinstance(value, Mapping):
        root.problem("route", "a route must be written [[route]], with two brackets")
        return []
    if not isinstance(value, list):
        root.problem("route", f"a route must be written [[route]], not as {kind_of(value)}")
        return []
    tables = []
    for index, one in enumerate(value):
        if isinstance(one, Mapping):
            tables.append(one)
        else:
            root.findings.problem(
                ("route", index), f"a route must be a table, [[route]], not {kind_of(one)}"
            )
            return []
    return tables


def _read_name(route: Section, names: dict[str, int]) -> str:
    """The route's name, which labels its sentences from here on; empty if it has none."""
    name = route.text("name")
    if name is None:
        if "name" not in route and not route.has_misspelt("name", KEYS):
            mend = Misplaced(route).mend("name") or "; add one, it appears in logs and metrics"
            route.problem(None, f"{route.label} has no `name`{mend}")
        return ""
    route.label = f"route `{quoted(name)[1:-1]}`"
    if not _NAME.fullmatch(name):
        route.problem(
            "name",
            f"{route.label}: a name is at most 200 characters without spaces; rename it",
        )
    if name in names:
        route.problem(
            "name", f"{route.label}: line {names[name]} has a route of that name; rename one"
        )
    else:
        names[name] = route.line("name")
    return name


def _check_session(route: Section, model: RouteModel, sessions: dict[tuple[str, str], str]) -> None:
    session = model.source.session
    if session is None:
        return
    key = (session.peer, session.name)
    first = sessions.setdefault(key, model.name)
    if first != model.name and model.name:  # else the name itself is what to mend
        route.problem(
            "from",
            f"{route.label} has the session {quoted(session.name)} at {session.peer}, which route "
            f"`{first}` has already: they would throw each other out; rename the route or "
            "give it a `session`",
        )
