"""`allow` of `[ws]` and of its `paths`: who may send to a path, and who may hear it."""

from collections.abc import Mapping

from routerd.address import Pattern
from routerd.connectors.websocket.entry.settings import Allow, Demand, Right
from routerd.findings import KeyPath, kind_of, listed, quoted
from routerd.section import Section
from routerd.template import Reference, Template, TemplateError, parse_reference, parse_template

_RIGHTS = ("publish", "subscribe")
_KNOWN = ("claim", "query", "header", "peer", "path")
"""Of metadata, what is known before a client is in."""


def read_allow(section: Section, pattern: Pattern | None) -> Allow | None:
    """What a table says; None: nothing.

    Args:
        section: of the listener, or of a path.
        pattern: of the path.
    """
    inner = section.section("allow")
    if inner is None:
        return None
    if not inner.values:
        section.problem("allow", f"{inner.label} is empty; write a demand into it, or remove it")
    reader = _Reader(inner, frozenset(pattern.names) if pattern else frozenset())
    halves = [key for key in inner.values if key in _RIGHTS]
    if not halves:
        right = reader.right(inner.values, ())
        return Allow(right, right)
    strange = [key for key in inner.values if key not in _RIGHTS]
    if strange:
        inner.problem(
            strange[0],
            f"{inner.label} has {listed(halves)}, and {quoted(strange[0])} beside it; write "
            "everything into `publish` and `subscribe`",
        )
    rights = [reader.half(name, inner.values.get(name, True)) for name in _RIGHTS]
    return Allow(*rights)


def needs_claims(allow: Allow) -> bool:
    """Whether something in it is a claim."""
    demands = [*allow.publish.demands, *allow.subscribe.demands]
    references = [one.subject for one in demands]
    references += [each for one in demands for value in one.values for each in value.references]
    return any(one.kind == "meta" and one.name == "claim" for one in references)


class _Reader:
    """Reads demands, and reports what is wrong with them."""

    def __init__(self, section: Section, captures: frozenset[str]) -> None:
        self._section = section
        self._captures = captures

    def half(self, name: str, value: object) -> Right:
        """What is said of one of the two rights."""
        match value:
            case bool():
                return Right(is_refused=not value)
            case Mapping():
                if not value:
                    self._problem((name,), f"`{name}` of", "is empty; write a demand, or true")
                return self.right(value, (name,))
            case _:
                self._problem(
                    (name,),
                    f"`{name}` of",
                    f"must be a table of demands, true or false, not {kind_of(value)}",
                )
                return Right()

    def right(self, values: Mapping[str, object], steps: KeyPath) -> Right:
        """All demands of a table; those that are wrong are left out."""
        found = [self._demand(key, value, (*steps, key)) for key, value in values.items()]
        return Right(tuple(one for one in found if one is not None))

    def _demand(self, key: str, value: object, steps: KeyPath) -> Demand | None:
        where = f"{quoted(key)} in"
        if key.startswith("{") and key.endswith("}"):
            self._problem(steps, where, f"must be written without braces, {quoted(key[1:-1])}")
            return None
        try:
            subject = parse_reference(key)
        except TemplateError as exc:
            self._problem(steps, where, f"names nothing: {exc}")
            return None
        if not self._is_known(subject, steps, where):
            return None
        values = value if isinstance(value, list) else [value]
        texts = [one for one in values if isinstance(one, str)]
        if not texts or len(texts) < len(values):
            self._problem(
                steps, where, f"must be compared with a text, or a list of them, not {_kind(value)}"
            )
            return None
        templates = [self._template(text, steps, where) for text in texts]
        if None in templates:
            return None
        return Demand(subject, tuple(one for one in templates if one is not None))

    def _template(self, text: str, steps: KeyPath, where: str) -> Template | None:
        try:
            template = parse_template(text)
        except TemplateError as exc:
            self._problem(steps, where, f"is compared with {quoted(text)}: {exc}")
            return None
        known = [self._is_known(one, steps, where) for one in template.references]
        return template if all(known) else None

    def _is_known(self, reference: Reference, steps: KeyPath, where: str) -> bool:
        """Whether it means something before the first message."""
        if reference.optional:
            sentence = f"asks for `{{{reference}}}`: what is missing allows nothing; remove the `?`"
        elif reference.kind in {"capture", "rest"} and reference.name not in self._captures:
            has = listed(f"{{{name}}}" for name in sorted(self._captures))
            has = f"it captures {has}" if has else "write a table of `paths` with that capture"
            sentence = f"asks for `{{{reference}}}`, which its path does not capture; {has}"
        elif reference.kind == "field" or (
            reference.kind == "meta" and reference.name not in _KNOWN
        ):
            has = "captures, {@claim.x}, {@query.x}, {@header.x}, {@peer} and {@path}"
            sentence = f"asks for `{{{reference}}}`, which nobody knows yet; take one of {has}"
        else:
            return True
        self._problem(steps, where, sentence)
        return False

    def _problem(self, steps: KeyPath, where: str, sentence: str) -> None:
        section = self._section
        section.findings.problem((*section.path, *steps), f"{where} {section.label} {sentence}")


def _kind(value: object) -> str:
    if isinstance(value, list):
        return (
            "an empty list"
            if not value
            else kind_of(next(v for v in value if not isinstance(v, str)))
        )
    return kind_of(value)
