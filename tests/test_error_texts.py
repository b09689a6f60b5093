"""What routerd says when something is wrong: one style, as far as a machine can hear it.

The rules are functions over texts, so that the last tests can show each of them one that breaks it.
What a sentence of a bad table is, is in `tests/config/*.bad.toml`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import routerd

PACKAGE = Path(routerd.__file__).parent
TABLES = Path(__file__).parent / "config"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
ERRORS = {"AddressError", "DeliveryFailed", "Rejected", "SecretError", "TemplateError"}
ERRORS |= {"TlsError", "Unavailable"}

# A name, or a word that is written so: a sentence of a log line begins in lower case.
_NAMES = ("Kafka", "PUBACK", "SUBACK", "CONNACK", "MQTT", "JSON")
_PLACEHOLDER = r"%(?:\.\d)?[srdfg]"
_EVENT = re.compile(rf"(?:[a-z]|{_PLACEHOLDER})[^=]*")
_PAIR = re.compile(rf" [a-z_]+=(?:{_PLACEHOLDER}|[A-Z]+)")

# What to do. Either the sentence says what must be, or it ends with an order or a hint.
_MUST = re.compile(r"\b(must|needs?|did you mean|as in)\b")
_ORDERS = (
    "add|ask|check|free|give|keep|listen|make|move|name|put|raise|read|remove|rename|route|save|set|"
    "shorten|subscribe|swap|take|use|write"
)
_ORDER = re.compile(rf"(?:[;,:] (?:or |so |then |and )?|\bor )(?:{_ORDERS})\b")
_HINTS = (
    "it (?:takes|knows|has|captures|is called|belongs)|they have|there are|routerd knows|"
    "a (?:route|capture|field) |what .*(?:is|comes from) |the brokers are|"
    ".*(?:is written|is asked for by|stands? in|stand under|belongs into|(?:is|are) \\[)"
)
_HINT = re.compile(rf"[;:] (?:{_HINTS})")
_LIBRARY = re.compile(r"librdkafka(?: refuses these together)?: ")


class Text(NamedTuple):
    """A text, and where it is."""

    where: str
    text: str


# --- where the texts are


def log_templates(package: Path) -> Iterator[Text]:
    """The first argument of every call of a logger."""
    for where, call in calls(package):
        match call.func:
            case ast.Attribute(value=ast.Name(id="logger"), attr=attr) if attr in LEVELS:
                yield Text(where, literal(call.args[0]))
            case ast.Attribute(value=ast.Name(id="logger"), attr="log"):
                yield Text(where, literal(call.args[1]))


def raised_sentences(package: Path) -> Iterator[Text]:
    """The sentences that our own exceptions are made with, as far as they stand there."""
    for where, call in calls(package):
        match call:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant() | ast.JoinedStr() as text]):
                if name in ERRORS:
                    yield Text(where, literal(text))


def table_sentences() -> Iterator[Text]:
    """Every sentence about a bad table that a test expects."""
    for path in sorted(TABLES.glob("*.bad.toml")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"# \d+: (.*)", line):
                yield Text(path.name, found[1])


def warnings_of_tables() -> Iterator[Text]:
    """Every warning about a good table that a test expects."""
    for path in sorted(TABLES.glob("*.good.toml")):
        said = "\n".join(re.findall(r"^#\| ?(.*)$", path.read_text(encoding="utf-8"), re.M))
        for found in re.findall(r"^routes\.toml:\d+: warning: (.*(?:\n    .*)*)", said, re.M):
            yield Text(path.name, found.replace("\n   ", ""))


def calls(package: Path) -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(package)}:{node.lineno}", node


def literal(node: ast.expr) -> str:
    """A text as it stands in the code; what is filled in is `{}`."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in values
            )
        case _:
            return "{}"


# --- the rules


def is_event_with_context(template: str) -> bool:
    """An event in lower case, then nothing but `key=value`."""
    template = template.removesuffix("{}")  # further pairs, made where it is logged
    pairs = _PAIR.findall(template)
    event = template.removesuffix("".join(pairs))
    return _EVENT.fullmatch(event) is not None and not ends_loudly(event)


def ends_loudly(sentence: str) -> bool:
    """It ends in a full stop or an exclamation mark, or in a space."""
    return sentence.endswith((".", "!", " ")) and not sentence.endswith("...")


def begins_like_a_sentence_of_ours(sentence: str) -> bool:
    """In lower case, but for names and values: it stands behind `FILE:LINE:` or `error=`."""
    return not sentence[:1].isupper() or sentence.startswith(_NAMES)


def has_one_style(sentence: str) -> bool:
    """No sentence within the sentence, no exclamation, and no courtesies."""
    return not re.search(r"[a-z)`\]]\. [A-Z]| {2}|\bplease\b|\bsorry\b|!", sentence)


def says_what_to_do(sentence: str) -> bool:
    """What must be, an order, or a hint at what was meant."""
    rules = (_MUST, _ORDER, _HINT, _LIBRARY)
    return any(rule.search(sentence) for rule in rules)


# --- what is said


@pytest.mark.parametrize("found", [*log_templates(PACKAGE)], ids=lambda found: found.where)
def test_a_log_line_is_an_event_and_its_context(found: Text) -> None:
    assert is_event_with_context(found.text), found


@pytest.mark.parametrize("found", [*raised_sentences(PACKAGE)], ids=lambda found: found.where)
def test_what_is_raised_is_a_sentence_of_one_style(found: Text) -> None:
    assert begins_like_a_sentence_of_ours(found.text), found
    assert has_one_style(found.text), found
    assert not ends_loudly(found.text), found


def test_every_problem_of_a_table_has_one_style_and_says_what_to_do() -> None:
    found = [*table_sentences(), *warnings_of_tables()]
    assert [each for each in found if not begins_like_a_sentence_of_ours(each.text)] == []
    assert [each for each in found if not has_one_style(each.text)] == []
    assert [each for each in found if ends_loudly(each.text)] == []
    assert [each for each in found if not says_what_to_do(each.text)] == []


# --- that the rules can fail


@pytest.mark.parametrize(
    "template",
    [
        "Route fell route=%s",
        "route fell route=%s.",
        "route fell.",
        "route=%s",
        "route %s fell route=%s again",
        "route fell: error=%s, retry_s=%d",
    ],
)
def test_a_log_line_without_an_event_or_with_more_than_pairs_is_found(template: str) -> None:
    assert not is_event_with_context(template)


@pytest.mark.parametrize("sentence", ["Can't connect", "The broker is away"])
def test_a_capital_is_found(sentence: str) -> None:
    assert not begins_like_a_sentence_of_ours(sentence)


@pytest.mark.parametrize("sentence", ["it broke.", "it broke!", "it broke "])
def test_a_loud_end_is_found(sentence: str) -> None:
    assert ends_loudly(sentence)


@pytest.mark.parametrize(
    "sentence", ["it broke. Set `url`", "it  broke", "please write it", "no! write it"]
)
def test_another_style_is_found(sentence: str) -> None:
    assert not has_one_style(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "unknown key `x` in [mqtt]",
        "`x` of [mqtt] is too large a number",
        '"a" in `body` of route `r` can\'t be the number nan: JSON has no such number',
        "`{x}` is captured nowhere in `from`",
        "`ca` of [mqtt] can't be read: No such file or directory",
        "lists or tables are nested too deeply",
    ],
)
def test_a_sentence_that_leaves_one_alone_is_found(sentence: str) -> None:
    assert not says_what_to_do(sentence)


def test_every_kind_of_text_is_looked_at(tmp_path: Path) -> None:
    code = """logger.info("a"); logger.log(10, "b"); logger.exception(f"{x} c"); print("d")
raise Rejected("e") from Unavailable(f"f {x}")"""
    (tmp_path / "x.py").write_text(code)
    assert {each.text for each in log_templates(tmp_path)} == {"a", "b", "{} c"}
    assert {each.text for each in raised_sentences(tmp_path)} == {"e", "f {}"}


def test_there_is_something_to_hear() -> None:
    assert len([*log_templates(PACKAGE)]) > 35
    assert len([*raised_sentences(PACKAGE)]) > 60
    assert len([*table_sentences()]) > 400
    assert len([*warnings_of_tables()]) > 10
