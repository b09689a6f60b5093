"""The patterns that a source matches, and the paths of groups: what stands behind an address's `:`.

A pattern is a row of levels: of an MQTT filter (MQTT-4.7) or of a WebSocket path. What an
address means beyond that belongs to its connector.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote_to_bytes

from routerd.findings import quoted
from routerd.template import NAME, Reference, Template, TemplateError, parse_template

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_TOPIC = 65535
"""Bytes of UTF-8 that an MQTT string may have (MQTT-1.5.4)."""
_SHARE_PARTS = 3
_BRACES = re.compile(r"\{[^{}]*\}")

Captured = str | tuple[str, ...]
"""One level, or the levels that `{name#}` took."""


class AddressError(ValueError):
    """An address that can't be read; the sentence says what is wrong and what to do."""


@dataclass(frozen=True)
class Level:
    """One level of a pattern.

    Attributes:
        kind: `text` matches itself, `one` any one level, `rest` all that follow, also none.
        text: the literal, or the capture's name; empty for one without a name.
    """

    kind: Literal["text", "one", "rest"]
    text: str = ""


@dataclass(frozen=True)
class Pattern:
    """What a source's address matches.

    Attributes:
        source: as written.
        levels: `rest` only as the last.
        is_mqtt: an MQTT filter; else a path.
        share: the group of `$share/GROUP/...`; None without one.
    """

    source: str
    levels: tuple[Level, ...]
    is_mqtt: bool
    share: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The captures, in order."""
        return tuple(level.text for level in self.levels if level.kind != "text" and level.text)

    @property
    def rest_name(self) -> str | None:
        """The capture of the rest, if it has a name."""
        last = self.levels[-1] if self.levels else None
        return last.text if last is not None and last.kind == "rest" and last.text else None

    @property
    def filter(self) -> str:
        """As MQTT's SUBSCRIBE takes it."""
        signs = {"one": "+", "rest": "#"}
        text = "/".join(signs.get(level.kind, level.text) for level in self.levels)
        return text if self.share is None else f"$share/{self.share}/{text}"

    @property
    def specificity(self) -> tuple[int, ...]:
        """Larger is more literal, compared from the left."""
        ranks = {"text": 2, "one": 1, "rest": 0}
        return tuple(ranks[level.kind] for level in self.levels)

    def split(self, address: bytes) -> tuple[str, ...] | None:
        """The levels of a message's address; None if its bytes are not what they should be."""
        try:
            if self.is_mqtt:
                return tuple(address.decode().split("/"))
            return split_path(address.decode("ascii"))
        except ValueError:  # UnicodeDecodeError and AddressError are both
            return None

    def match(self, levels: Sequence[str]) -> dict[str, Captured] | None:
        """The captures if these levels match, else None."""
        own = self.levels
        has_rest = bool(own) and own[-1].kind == "rest"
        fixed = own[:-1] if has_rest else own
        if len(levels) < len(fixed) or (len(levels) > len(fixed) and not has_rest):
            return None
        if self.is_mqtt and levels and levels[0].startswith("$") and own[0].kind != "text":
            return None  # MQTT-4.7.2-1
        captures: dict[str, Captured] = {}
        for level, text in zip(fixed, levels, strict=False):
            if level.kind == "text":
                if level.text != text:
                    return None
            elif level.text:
                captures[level.text] = text
        if has_rest and own[-1].text:
            captures[own[-1].text] = tuple(levels[len(fixed) :])
        return captures

    def overlaps(self, other: Pattern) -> bool:
        """Whether one address can match both."""
        first, second = self.levels, other.levels
        for index in range(max(len(first), len(second)) + 1):
            mine = first[index] if index < len(first) else None
            theirs = second[index] if index < len(second) else None
            if index == 0 and self.is_mqtt and _only_one_takes_dollar(mine, theirs):
                return False
            if mine is None and theirs is None:
                return True
            if (mine is not None and mine.kind == "rest") or (
                theirs is not None and theirs.kind == "rest"
            ):
                return True
            if mine is None or theirs is None:
                return False
            if mine.kind == theirs.kind == "text" and mine.text != theirs.text:
                return False
        return False


def _only_one_takes_dollar(mine: Level | None, theirs: Level | None) -> bool:
    """A wildcard in front matches no topic that begins with `$` (MQTT-4.7.2-1)."""
    if mine is None or theirs is None:
        return False
    return any(
        a.kind == "text" and a.text.startswith("$") and b.kind != "text"
        for a, b in ((mine, theirs), (theirs, mine))
    )


def split_fragment(rest: str) -> tuple[str, str | None]:
    """Cuts `#TYPE` off a path, None without one; the `#` of `{name#}` is none."""
    depth = 0
    for position, char in enumerate(rest):
        depth += (char == "{") - (char == "}")
        if char == "#" and depth <= 0:
            return rest[:position], rest[position + 1 :]
    return rest, None


def parse_mqtt_pattern(rest: str) -> Pattern:
    """An MQTT filter with captures.

    Raises:
        AddressError: it isn't legal (MQTT-4.7), or a capture is wrong.
    """
    if not rest:
        raise AddressError("the MQTT filter is empty; write one like sensors/{device}/temperature")
    if "\0" in rest:
        raise AddressError("an MQTT filter can't hold the character NUL; remove it")
    share, filter_ = _split_share(rest)
    texts = filter_.split("/")
    levels = []
    for index, text in enumerate(texts):
        is_last = index == len(texts) - 1
        levels.append(_mqtt_level(text, is_last=is_last))
    pattern = Pattern(rest, tuple(levels), is_mqtt=True, share=share)
    _refuse_twins(pattern)
    if len(pattern.filter.encode()) > LONGEST_TOPIC:
        raise AddressError(
            f"an MQTT filter has at most {LONGEST_TOPIC} bytes, this one has more; shorten it"
        )
    return pattern


def _split_share(rest: str) -> tuple[str | None, str]:
    if not rest.startswith("$share/") and rest != "$share":
        return None, rest
    parts = rest.split("/", 2)
    if len(parts) < _SHARE_PARTS or not parts[1] or not parts[2]:
        raise AddressError("$share needs a group and a filter; write $share/GROUP/FILTER")
    if set(parts[1]) & set("+#{}"):
        raise AddressError(
            f"the group {quoted(parts[1])} of $share must be plain text; write it without + # {{ }}"
        )
    return parts[1], parts[2]


def _mqtt_level(text: str, *, is_last: bool) -> Level:
    if text == "+":
        return Level("one")
    if text == "#":
        if not is_last:
            raise AddressError("`#` takes the rest and must be the last level of a filter")
        return Level("rest")
    level = _braced_level(text, is_last=is_last, noun="level")
    if level.kind == "text" and set(level.text) & set("+#"):
        raise AddressError(f"`+` and `#` must be a level of their own, {quoted(text)} mixes them")
    return level


def parse_path_pattern(rest: str) -> Pattern:
    """A WebSocket path with captures; each segment is percent-decoded by itself.

    Raises:
        AddressError: it isn't a path, or a capture is wrong.
    """
    texts = _path_segments(rest)
    levels = []
    for index, text in enumerate(texts):
        if text == "+":
            levels.append(Level("one"))
            continue
        _refuse_query(_BRACES.sub("", text))
        level = _braced_level(text, is_last=index == len(texts) - 1, noun="segment")
        if level.kind == "text":
            level = Level("text", _decode(level.text))
        levels.append(level)
    pattern = Pattern(rest, tuple(levels), is_mqtt=False)
    _refuse_twins(pattern)
    return pattern


def parse_group_path(rest: str) -> tuple[Template, ...]:
    """The segments of a group's path, each a template; `live` is short for `/live`.

    Raises:
        AddressError: it isn't a path.
        TemplateError: a reference is wrong.
    """
    texts = _path_segments(rest if rest.startswith("/") else f"/{rest}")
    segments = []
    for text in texts:
        template = parse_template(text)
        if text == "+":
            raise AddressError(
                "a group is one path, `+` stands for many; write a capture of `from`"
            )
        for part in template.parts:
            _refuse_query(part if isinstance(part, str) else "")
        parts = tuple(_decode(p) if isinstance(p, str) else p for p in template.parts)
        if len(parts) > 1 and any(isinstance(p, Reference) and p.kind == "rest" for p in parts):
            raise TemplateError(
                f"{quoted(text)}: a capture of the rest must be a whole segment of the path"
            )
        segments.append(Template(text, parts))
    return tuple(segments)


def group_pattern(segments: Sequence[Template]) -> Pattern:
    """The paths that a group's templates can come to, and so can be connected to."""
    levels = []
    for segment in segments:
        if any(reference.kind == "rest" for reference in segment.references):
            levels.append(Level("rest"))
            break  # what follows may be at any depth
        literal = segment.literal
        levels.append(Level("one") if literal is None else Level("text", literal))
    return Pattern("/" + "/".join(s.source for s in segments), tuple(levels), is_mqtt=False)


def split_path(path: str) -> tuple[str, ...]:
    """The decoded segments of a path as a client sent it.

    Raises:
        AddressError: it does not start with `/`, or a segment is not UTF-8 when decoded.
    """
    return tuple(map(_decode, _path_segments(path)))


def _path_segments(path: str) -> list[str]:
    if not path.startswith("/"):
        raise AddressError(f"{quoted(path)} is no path; a path begins with `/`")
    return path[1:].split("/")


def _refuse_query(text: str) -> None:
    if "?" in text:
        raise AddressError(
            "a path ends before the `?`; what a client's URL has behind it is `{@query.NAME}`"
        )


def _decode(segment: str) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as exc:
        raise AddressError(
            f"{quoted(segment)} is not UTF-8 when percent-decoded; write the characters themselves"
        ) from exc


def _braced_level(text: str, *, is_last: bool, noun: str) -> Level:
    """A level that is a capture or plain text."""
    if "{" not in text and "}" not in text:
        return Level("text", text)
    name = text[1:-1].removesuffix("#")
    if set(name) & set("{}") or not (text.startswith("{") and text.endswith("}")):
        raise AddressError(
            f"a capture must be a whole {noun}, like `{{device}}`; {quoted(text)} is not"
        )
    if not NAME.fullmatch(name):
        raise AddressError(
            f"{quoted(text)} is no capture; its name must be letters, digits and `_`, like "
            "`{device}`"
        )
    if not text.endswith("#}"):
        return Level("one", name)
    if not is_last:
        raise AddressError(f"`{text}` takes the rest and must be the last {noun}")
    return Level("rest", name)


def _refuse_twins(pattern: Pattern) -> None:
    names = pattern.names
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise AddressError(
            f"it captures `{{{twins[0]}}}` twice; give each capture a name of its own"
        )
