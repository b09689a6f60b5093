"""What tomli has against a text, in sentences for people who don't know TOML."""

import re
import unicodedata

import tomli

from routerd.problems import Problem

_TWICE = "this key is in its table already; remove one of the two"
_TABLE_TWICE = "{0} is written twice; put all of its keys under one of them"
_STATEMENT = (
    "a line is a [header], a key = value or a # comment; a key that begins with a dot, an @ or a "
    "brace needs quotes"
)
_HEADER = "a [table] header ends in a bracket; a name with a space or a colon needs quotes"
_CHARACTER = "{0} can't stand here; if it ends a text, the closing quote is missing"
_FRIENDLY = {
    "Cannot overwrite": _TWICE,
    "Duplicate inline table key": _TWICE,
    "Cannot declare": _TABLE_TWICE,
    "Cannot redefine": _TABLE_TWICE,
    "Cannot mutate": "{0} is complete where it stands in braces or brackets; add to it there",
    "Unterminated string": "a text that begins here or above has no closing quote; add it",
    "Illegal character": _CHARACTER,
    "Found invalid character": _CHARACTER,
    'Expected "\'"': "a text that begins here has no closing quote; add it",
    "Expected \"'''\"": "a text that begins here or above has no closing quotes; add them",
    "Unescaped": "a backslash in a text is written \\\\; or put the text in single quotes",
    "Invalid hex": "\\u in a text needs hex digits; a backslash alone is written \\\\",
    "Invalid value": "no value that TOML knows; texts need quotes, true and false are lower case",
    "Expected '=' after": "a key needs `= value` behind it; one with a space or a / needs quotes",
    "Expected newline": "there is more on this line than one key = value; texts need quotes",
    "Expected ']]'": "a [[route]] header must end in two brackets",
    "Expected ']'": _HEADER,
    "Unclosed array": "a list from here or above is not closed, or a comma is missing; add it",
    "Unclosed inline": "a table in braces is not closed, or a comma is missing; add it",
    "Invalid initial character": 'a key is missing or needs quotes, as in `".a.b" = 1`',
    "Invalid statement": _STATEMENT,
    "Invalid date": "no such date or time",
}
"""What tomli's messages begin with, and what to tell people who don't know TOML."""

_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb"
_CURLY_END = re.compile(f"([{_QUOTES}])[\\s,\\]}}]*(?:#.*)?$")
_OPEN_LINE = ("Illegal character '\\n'", "Found invalid character '\\n'")
_OPEN_LITERAL = 'Expected "\'"'
"""tomli's words for a text in double and in single quotes that doesn't end."""
_INVISIBLE = {"Zs", "Zl", "Zp", "Cf"}
"""Categories of Unicode: what looks like a blank, or like nothing."""
_ROUTE = re.compile(r"^[ \t]*\[[ \t]*route[ \t]*\]", re.MULTILINE)
_INSIDE_ROUTE = re.compile(r"^[ \t]*\[[ \t]*(route[ \t]*\.[^\]\n]*)\]", re.MULTILINE)
_ROUTES = re.compile(r"^[ \t]*\[\[[ \t]*route[ \t]*\]\]", re.MULTILINE)


def syntax_problem(error: tomli.TOMLDecodeError) -> Problem:
    """The first mistake of a text, and the line where people look for it."""
    return _one_bracket(error) or _odd_character(error) or _translated(error)


def _one_bracket(error: tomli.TOMLDecodeError) -> Problem | None:
    """`[route]` for `[[route]]`: tomli stops at the header that is right."""
    text = error.doc
    header = text[text.rfind("\n", 0, error.pos) + 1 :]
    if not error.msg.startswith("Cannot") or not (_ROUTE.match(header) or _ROUTES.match(header)):
        return None
    alone, inside = _ROUTE.search(text), _INSIDE_ROUTE.search(text, 0, error.pos)
    if alone is not None:
        sentence = "[route] must be written [[route]], with two brackets"
        return Problem(_line(text, alone.end()), sentence)
    if inside is not None:
        sentence = (
            f"[{inside[1].strip()}] stands above the first [[route]]; a route begins with "
            "[[route]], with two brackets"
        )
        return Problem(_line(text, inside.end()), sentence)
    return None


def _odd_character(error: tomli.TOMLDecodeError) -> Problem | None:
    """What word processors and web pages put where TOML has a quote or a blank."""
    text, at = error.doc, error.pos
    char = text[at : at + 1]
    if _is_open_text(error):
        at = _last_quote(error)
        curly = _CURLY_END.search(text[at:].partition("\n")[0])
        char = curly[1] if curly else ""
    if not char:
        return None
    if char in _QUOTES:
        return Problem(_line(text, at), f"not TOML: a curly quote {char}; write a straight one")
    if char != " " and unicodedata.category(char) in _INVISIBLE:
        name = f"the character U+{ord(char):04X}, {unicodedata.name(char, '').lower()}"
        name = "a non-breaking space" if char == "\u00a0" else name
        return Problem(_line(text, at), f"not TOML: {name}; write an ordinary space or nothing")
    return None


def _translated(error: tomli.TOMLDecodeError) -> Problem:
    """The message of tomli in other words."""
    at = _last_quote(error) if error.msg == _OPEN_LITERAL else error.pos
    line = min(_line(error.doc, at), _line(error.doc.rstrip("\n"), len(error.doc)))
    if error.msg in _OPEN_LINE:
        return Problem(line, "not TOML: a text on this line has no closing quote; add it")
    for start, sentence in _FRIENDLY.items():
        if error.msg.startswith(start):
            return Problem(line, "not TOML: " + sentence.format(_subject(error.msg)))
    return Problem(line, f"not TOML: {error.msg}")


def _is_open_text(error: tomli.TOMLDecodeError) -> bool:
    return error.msg in {*_OPEN_LINE, _OPEN_LITERAL}


def _last_quote(error: tomli.TOMLDecodeError) -> int:
    """Where a text opened that doesn't close: no other such quote comes behind it."""
    if error.msg == _OPEN_LITERAL:
        return error.doc.rfind("'")
    return error.doc.rfind("\n", 0, error.pos) + 1


def _subject(message: str) -> str:
    """What tomli's message is about: a table by its header, or a character."""
    names = re.search(r"\((.*)\)", message)
    if names is None:
        return message.rsplit(" ", maxsplit=1)[-1]
    return "[" + ".".join(re.findall(r"'([^']*)'", names[1])) + "]"


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
