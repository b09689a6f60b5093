"""The grammar of references and templates: `{device}`, `{.a.b}`, `{@topic}`, and text around them.

What a reference stands for in a message is `scope`'s.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Kind = Literal["capture", "rest", "field", "meta"]

METADATA = ("topic", "key", "session", "type", "time", "peer", "path")
"""What `{@...}` may name by itself; `query.NAME`, `header.NAME` and `claim.NAME` beside them."""
_NAMED_METADATA = ("query", "header", "claim")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""What a capture may be called."""


class TemplateError(ValueError):
    """A template that can't be read; the sentence says where and what to do."""


@dataclass(frozen=True)
class Reference:
    """One value of a message.

    Attributes:
        kind: `capture` is one level of the address, `rest` the levels that `{name#}` took.
        path: `("device",)`, `("a", "b")`, `()` for the whole payload, `("query", "x")`.
        optional: missing or null is allowed: null alone, empty inside a text.
    """

    kind: Kind
    path: tuple[str, ...]
    optional: bool = False

    @property
    def name(self) -> str:
        """The capture's name, or the first step of the path."""
        return self.path[0] if self.path else ""

    def __str__(self) -> str:
        end = "?" if self.optional else ""
        match self.kind:
            case "capture":
                return f"{self.name}{end}"
            case "rest":
                return f"{self.name}#{end}"
            case "field":
                return f".{'.'.join(self.path)}{end}"
            case "meta":
                return f"@{'.'.join(self.path)}{end}"


@dataclass(frozen=True)
class Template:
    """A text with references in it.

    Attributes:
        source: as written.
        parts: texts with braces resolved, and references, in order.
    """

    source: str
    parts: tuple[str | Reference, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        """The references in it, in order."""
        return tuple(part for part in self.parts if isinstance(part, Reference))

    @property
    def literal(self) -> str | None:
        """The text, if there is no reference in it."""
        return None if self.references else "".join(map(str, self.parts))


def parse_template(text: str) -> Template:
    """Reads a template.

    Raises:
        TemplateError: a brace or a reference is wrong.
    """
    parts: list[str | Reference] = []
    for part in _split(text):
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    return Template(text, tuple(parts))


def parse_reference(text: str) -> Reference:
    """Reads what stands between braces, as the keys of `when` do without them.

    Raises:
        TemplateError: it names nothing that a message has.
    """
    optional = text.endswith("?")
    body = text[:-1] if optional else text
    if body.startswith("."):
        return Reference("field", _field_path(body, text), optional)
    if body.startswith("@"):
        return Reference("meta", _meta_path(body[1:]), optional)
    name = body.removesuffix("#")
    if not NAME.fullmatch(name):
        raise TemplateError(_explain_name(text))
    return Reference("rest" if body.endswith("#") else "capture", (name,), optional)


def _split(text: str) -> Iterator[str | Reference]:
    position = 0
    while position < len(text):
        char = text[position]
        if char not in "{}":
            end = min(
                (i for i in (text.find("{", position), text.find("}", position)) if i >= 0),
                default=len(text),
            )
            yield text[position:end]
            position = end
        elif text[position : position + 2] == char * 2:
            yield char
            position += 2
        elif char == "}":
            raise TemplateError(
                f"a `}}` at character {position + 1} closes nothing; write `}}}}` for a brace"
            )
        else:
            end = text.find("}", position)
            if end < 0:
                raise TemplateError(
                    f"the `{{` at character {position + 1} is never closed;"
                    " write `{{` for a brace"
                )
            yield parse_reference(text[position + 1 : end])
            position = end + 1


def _field_path(body: str, text: str) -> tuple[str, ...]:
    if body == ".":
        return ()
    path = tuple(body[1:].split("."))
    if not all(path):
        raise TemplateError(f"`{{{text}}}` has an empty step; write it like `{{.a.b}}`")
    return path


def _meta_path(body: str) -> tuple[str, ...]:
    first, dot, rest = body.partition(".")
    if first in _NAMED_METADATA:
        if not rest:
            raise TemplateError(f"`{{@{body}}}` needs a name; write it like `{{@{first}.x}}`")
        return (first, rest.lower() if first == "header" else rest)
    if first in METADATA and not dot:
        return (first,)
    close = get_close_matches(first, (*METADATA, *_NAMED_METADATA), n=1)
    hint = f"did you mean `{{@{close[0]}}}`?" if close else f"there are {_listed()}"
    raise TemplateError(f"`{{@{body}}}` is unknown; {hint}")


def _listed() -> str:
    names = [f"@{name}" for name in METADATA] + [f"@{name}.NAME" for name in _NAMED_METADATA]
    return ", ".join(names)


def _explain_name(text: str) -> str:
    if not text:
        return "`{}` names nothing; write a name between the braces, or `{{}}` for braces"
    return (
        f"`{{{text}}}` is no reference; a capture is letters, digits and `_`,"
        " a JSON field is `{.a.b}`, metadata is `{@time}`, and `{{` is a brace"
    )
