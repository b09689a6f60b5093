"""What a route makes of a message: `key`, `headers`, `when`, `body` and `payload`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from routerd.config.body import read_body
from routerd.config.conditions import read_when
from routerd.config.endpoints import KEYS
from routerd.config.misplaced import Misplaced
from routerd.config.references import References
from routerd.findings import kind_of, quoted
from routerd.section import Section
from routerd.shape import Body, When
from routerd.template import Template

_MEANT_FOR_THE_ROUTE = "; if it is meant for the route, move it above [route.headers]"


@dataclass(frozen=True)
class Shaping:
    """See `RouteModel`."""

    key: Template | None
    headers: Mapping[str, Template]
    when: When | None
    body: Body | None
    payload: Literal["json"] | None


def read_shaping(
    route: Section, misplaced: Misplaced, references: References, *, captures: frozenset[str]
) -> Shaping:
    """All that looks into a message, its references noted.

    Args:
        route: its table.
        misplaced: what stands in a table inside it by mistake.
        references: where to note them.
        captures: the names in `from`, as far as they are known.
    """
    return Shaping(
        key=_read_key(route, references),
        headers=_read_headers(route, misplaced.keys("headers"), references),
        when=read_when(
            route, skip=misplaced.keys("when"), references=references, captures=captures
        ),
        body=read_body(route, skip=misplaced.keys("body"), references=references),
        payload=_read_payload(route),
    )


def _read_key(route: Section, references: References) -> Template | None:
    text = route.text("key")
    if text is None:
        return None
    return references.read(text, (*route.path, "key"), f"`key` of {route.label}")


def _read_headers(
    route: Section, skip: frozenset[str], references: References
) -> Mapping[str, Template]:
    section = route.section("headers")
    headers: dict[str, Template] = {}
    for name, value in section.values.items() if section else ():
        path = (*route.path, "headers", name)
        where = f"header {quoted(name)} of {route.label}"
        if name in skip:
            continue
        if not isinstance(value, str):
            mend = _MEANT_FOR_THE_ROUTE if name in KEYS and name not in route else ""
            route.findings.problem(
                path, f'{where} must be a text, as in "{{@topic}}", not {kind_of(value)}{mend}'
            )
        elif not name:
            route.findings.problem(path, f"{where} has no name; give it one")
        elif (template := references.read(value, path, where)) is not None:
            headers[name] = template
    return headers


def _read_payload(route: Section) -> Literal["json"] | None:
    if route.raw("payload") is None:
        return None
    options: tuple[Literal["json"], ...] = ("json",)
    return route.choice("payload", options, default="json")
