"""One log record as one line: text for people, JSON for machines, `<N>` lines for the journal.

All of routerd logs plainly: `logger.info("connected route=%s broker=%s", name, address)`. The
trailing `key=value` pairs of the *template* are the context; their arguments become fields
of the JSON and quoted values of the text. The finished message is never parsed, so nothing
that an argument contains can forge a field. Where lines go is `log.py`'s business.
"""

import json
import logging
import math
import re
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from routerd.terminal import RED, YELLOW, Paint, plain

LogFormat = Literal["text", "json", "journal"]
"""`journal` is text that leaves the time to the journal, which knows it."""

Value = str | int | float | bool | None

_RESERVED = frozenset({"ts", "level", "logger", "event", "message", "traceback"})
_LONGEST_VALUE = 4096
_PAIR = re.compile(r'\s+([a-z][a-z0-9_]*)=("[^"]*"|[^\s"]+)\Z')
_PLACEHOLDER = re.compile(r"%(?:%|[-#0 +]*\d*(?:\.\d+)?[diouxXeEfFgGcrsa])")
# What ends a line, moves a cursor, or is no character at all.
_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_BARE = re.compile(rf"[^\s\"=\\{_UNPRINTABLE}]+")
_ESCAPED_IN_TEXT = re.compile(rf"[{_UNPRINTABLE}]")
_ESCAPED_IN_QUOTES = re.compile(rf"[\"\\{_UNPRINTABLE}]")
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def renderer(
    log_format: LogFormat, *, is_terminal: bool, paint: Paint = plain
) -> Callable[[logging.LogRecord], str]:
    """What makes the line, without its line feed, of a record. It never raises.

    Args:
        log_format: as `--log-format` names it.
        is_terminal: a person is reading: tracebacks may have lines of their own.
        paint: colours the level, of text only.
    """

    def text(record: logging.LogRecord) -> str:
        level = f"{record.levelname:<7}"
        if record.levelno >= logging.WARNING:
            level = paint(level, YELLOW if record.levelno < logging.ERROR else RED)
        return f"{_timestamp(record)} {level} {_text(record, indents=is_terminal)}"

    def journal(record: logging.LogRecord) -> str:
        return f"<{_syslog_level(record.levelno)}>{_text(record, indents=False)}"

    match log_format:
        case "text":
            return text
        case "journal":
            return journal
        case "json":
            return _json


def _json(record: logging.LogRecord) -> str:
    event, context = _take_apart(record)
    fields: dict[str, Value] = {
        "ts": _timestamp(record),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event,
        "message": _sentence(event, context),
    }
    for key, value in context.items():
        fields[f"{key}_" if key in _RESERVED else key] = value
    if trace := _traceback(record):
        fields["traceback"] = trace
    line = json.dumps(fields, ensure_ascii=False)
    return _ESCAPED_IN_TEXT.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _text(record: logging.LogRecord, *, indents: bool) -> str:
    event, context = _take_apart(record)
    if not record.name.startswith("routerd"):
        context["logger"] = record.name
    sentence = _sentence(event, context)
    trace = _traceback(record)
    if trace and indents:
        return "\n    ".join([sentence, *(_visible(line) for line in trace.split("\n"))])
    return f"{sentence} traceback={_shown(trace)}" if trace else sentence


def _sentence(event: str, context: Mapping[str, Value]) -> str:
    pairs = (f"{key}={_shown(value)}" for key, value in context.items())
    return " ".join([_visible(event), *pairs])


def _take_apart(record: logging.LogRecord) -> tuple[str, dict[str, Value]]:
    """The event of a record and its context, arguments filled in."""
    try:
        return _filled(record.msg, record.args)
    except Exception as exc:  # noqa: BLE001 - an argument's __str__ may raise anything
        said = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        return said, {"log_error": type(exc).__name__}


def _filled(message: object, args: object) -> tuple[str, dict[str, Value]]:
    if not isinstance(message, str):  # e.g. logger.error(exc)
        return str(message), {}
    event, pairs = _parsed(message)
    if not args:  # as logging has it: without arguments, `%` means nothing
        return event, dict(pairs)
    if not isinstance(args, tuple):  # a mapping for %(name)s, which only libraries use
        return message % args, {}
    rest = list(args)
    filled = _fill(event, rest)
    context = {key: _value(template, rest) for key, template in pairs}
    if rest:
        raise TypeError("more arguments than placeholders")
    return filled, context


@lru_cache(maxsize=1024)
def _parsed(template: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The event part of a template, and its trailing `key=value` pairs in order."""
    pairs: dict[str, str] = {}
    event = template
    while (found := _PAIR.search(event)) and found[1] not in pairs:
        pairs[found[1]] = found[2].strip('"')
        event = event[: found.start()]
    return event, tuple(reversed(pairs.items()))


def _value(template: str, rest: list[object]) -> Value:
    """One value of the context; numbers, truth values and None stay what they are."""
    match rest:
        case [None | bool() | int() as first, *_] if template == "%s":
            del rest[0]
            return first
        case [float() as first, *_] if template == "%s" and math.isfinite(first):
            del rest[0]
            return first
        case [str(), *_] if template == "%r":  # its quotes are ours to set
            return _fill("%s", rest)
    text = _fill(template, rest)
    return _number(template[-1], text) if _PLACEHOLDER.fullmatch(template) else text


def _number(conversion: str, text: str) -> Value:
    """What a placeholder made of its argument, as a number if it was asked for one."""
    match conversion:
        case "d" | "i":
            return int(text)
        case "e" | "f" | "g" if math.isfinite(number := float(text)):
            return number
        case _:
            return text


def _fill(template: str, rest: list[object]) -> str:
    """Fills a part of a template, taking as many of the remaining arguments as it names."""
    count = sum(found[0] != "%%" for found in _PLACEHOLDER.finditer(template))
    text = template % tuple(rest[:count])
    del rest[:count]
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _shown(value: Value) -> str:
    """A value as text has it: bare where nobody could misread it, else in quotes."""
    text = "null" if value is None else str(value)
    if _BARE.fullmatch(text):
        return text
    return f'"{_ESCAPED_IN_QUOTES.sub(_escape, text)}"'


def _visible(text: str) -> str:
    return _ESCAPED_IN_TEXT.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return _SHORT_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def _traceback(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[1] is not None:
        return "".join(traceback.format_exception(record.exc_info[1])).rstrip()
    return record.stack_info or ""


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _syslog_level(levelno: int) -> int:
    for least, syslog in ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4)):
        if levelno >= least:
            return syslog
    return 6 if levelno >= logging.INFO else 7
