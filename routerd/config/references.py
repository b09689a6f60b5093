"""What a route's templates ask of its messages, held against what its source has."""

from collections.abc import Sequence
from dataclasses import dataclass

from routerd.address import Pattern
from routerd.checks import Endpoint, SourceFacts
from routerd.findings import KeyPath, did_you_mean, listed, quoted
from routerd.section import Section
from routerd.template import METADATA, Reference, Template, TemplateError, parse_template


@dataclass(frozen=True)
class _Use:
    """A reference, where it stands in the file, and what sentences call that place."""

    reference: Reference
    path: KeyPath
    where: str


class References:
    """Every reference of one route."""

    def __init__(self, route: Section) -> None:
        self._route = route
        self._uses: list[_Use] = []

    @property
    def distinct(self) -> tuple[Reference, ...]:
        """Each of them once."""
        return tuple(dict.fromkeys(use.reference for use in self._uses))

    def read(self, text: str, path: KeyPath, where: str) -> Template | None:
        """The template that stands at `path`, noted; None if it is wrong, and reported."""
        try:
            template = parse_template(text)
        except TemplateError as exc:
            self._route.findings.problem(path, f"{where}: {exc}")
            return None
        self.add(template, path, where)
        return template

    def add(self, template: Template, path: KeyPath, where: str) -> None:
        """Notes what a template refers to."""
        for reference in template.references:
            self.add_one(reference, path, where)

    def add_one(self, reference: Reference, path: KeyPath, where: str) -> None:
        """Notes one reference."""
        self._uses.append(_Use(reference, path, where))

    def check(self, source: SourceFacts, endpoints: Sequence[Endpoint]) -> None:
        """Reports what the source doesn't have, and warns of what nobody uses."""
        for use in dict.fromkeys(self._uses):
            sentence = ""
            match use.reference.kind:
                case "capture" | "rest":
                    sentence = _capture_problem(use.reference, source.patterns)
                case "meta":
                    sentence = _metadata_problem(use.reference, source)
                case "field":
                    pass
            if sentence:
                self._route.findings.problem(use.path, f"{use.where}: {sentence}")
        self._warn_of_unused(source, endpoints)

    def _warn_of_unused(self, source: SourceFacts, endpoints: Sequence[Endpoint]) -> None:
        used = {use.reference.name for use in self._uses if use.reference.kind != "meta"}
        for pattern, endpoint in zip(source.patterns, endpoints, strict=True):
            for name in pattern.names:
                if name not in used:
                    is_rest = name == pattern.rest_name
                    sign = f"{{{name}#}}" if is_rest else f"{{{name}}}"
                    instead = ", or write # for it" if is_rest and pattern.is_mqtt else ""
                    instead = instead if is_rest else ", or write + for it"
                    endpoint.warn(
                        f"{quoted(endpoint.text)}: nothing in {self._route.label} uses "
                        f"`{sign}`; use it{instead}"
                    )


def _capture_problem(reference: Reference, patterns: Sequence[Pattern]) -> str:
    name = reference.name
    lacking = [pattern for pattern in patterns if name not in pattern.names]
    if lacking and len(lacking) == len(patterns):
        return f"`{{{reference}}}` is captured nowhere in `from`{_meant(name, patterns)}"
    if lacking:
        return (
            f"`{{{reference}}}` is not captured by {quoted(lacking[0].source)}; every address in "
            "`from` must capture what the route uses"
        )
    if reference.kind == "rest" and any(pattern.rest_name != name for pattern in patterns):
        return f"`{{{reference}}}`: `{{{name}}}` is one level of `from`; write it without the #"
    return ""


def _meant(name: str, patterns: Sequence[Pattern]) -> str:
    captures = sorted({name for pattern in patterns for name in pattern.names})
    if name in METADATA:
        return f"; did you mean `{{@{name}}}`?"
    near = did_you_mean(name, captures).replace("`", "`{", 1).replace("`?", "}`?")
    if near:
        return near
    has = f"it captures {listed(f'{{{one}}}' for one in captures)}; " if captures else ""
    return f"; {has}a field of a JSON payload is `{{.{name}}}`"


def _metadata_problem(reference: Reference, source: SourceFacts) -> str:
    if reference.path in source.hidden:
        return (
            f"`{{{reference}}}` is always missing: a client's token may stand there, and nobody "
            "shall read it; take what the token says, {@claim.NAME}"
        )
    if reference.name in source.metadata:
        return ""
    named = {"query": "@query.NAME", "header": "@header.NAME", "claim": "@claim.NAME"}
    has = listed(f"{{{named.get(one, f'@{one}')}}}" for one in sorted(source.metadata))
    return f"messages from this source have no `{{{reference}}}`; they have {has}"
