"""One record, one line: what is in it, and that nothing breaks out of it."""

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.log_lines import LogFormat, renderer
from routerd.secrets import Secret
from routerd.terminal import coloured


def record(
    message: object, *args: object, level: int = logging.INFO, **more: object
) -> logging.LogRecord:
    made = logging.LogRecord("routerd.route", level, __file__, 1, message, args, None)
    made.created = 1_700_000_000.1239
    for key, each in more.items():
        setattr(made, key, each)
    return made


def as_json(made: logging.LogRecord) -> dict[str, object]:
    found = json.loads(renderer("json", is_terminal=False)(made))
    assert isinstance(found, dict)
    return found


def as_text(made: logging.LogRecord, *, is_terminal: bool = False) -> str:
    return renderer("text", is_terminal=is_terminal)(made)


def caught(raised: Exception) -> logging.LogRecord:
    try:
        raise raised  # noqa: TRY301 - to have a traceback
    except Exception:  # noqa: BLE001 - whatever was given
        return record("route fell route=%s", "a", exc_info=sys.exc_info())


class Broken:
    """What can't be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def test_the_ready_line_is_flat_json() -> None:
    made = record("ready ws=%s admin=%s routes=%d", "127.0.0.1:8800", "127.0.0.1:9464", 2)
    assert as_json(made) == {
        "ts": "2023-11-14T22:13:20.123Z",
        "level": "info",
        "logger": "routerd.route",
        "event": "ready",
        "message": "ready ws=127.0.0.1:8800 admin=127.0.0.1:9464 routes=2",
        "ws": "127.0.0.1:8800",
        "admin": "127.0.0.1:9464",
        "routes": 2,
    }


def test_text_is_a_time_a_level_and_the_sentence() -> None:
    line = as_text(record("connected route=%s broker=%s:%d", "telemetry", "b", 1883))
    assert line == "2023-11-14T22:13:20.123Z INFO    connected route=telemetry broker=b:1883"


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.DEBUG, "DEBUG  "),
        (logging.INFO, "INFO   "),
        (logging.WARNING, "\x1b[33mWARNING\x1b[0m"),
        (logging.ERROR, "\x1b[31mERROR  \x1b[0m"),
        (logging.CRITICAL, "\x1b[31mCRITICAL\x1b[0m"),
    ],
)
def test_a_level_that_matters_has_a_colour_where_colours_are(level: int, shown: str) -> None:
    made = record("fell", level=level)
    line = renderer("text", is_terminal=True, paint=coloured)(made)
    assert line == f"2023-11-14T22:13:20.123Z {shown} fell"
    others: tuple[LogFormat, ...] = ("json", "journal")
    for other in others:
        render = renderer(other, is_terminal=True, paint=coloured)
        assert "\x1b" not in render(made)


@pytest.mark.parametrize(
    ("level", "prefix"),
    [
        (logging.DEBUG, "<7>"),
        (logging.INFO, "<6>"),
        (logging.WARNING, "<4>"),
        (logging.ERROR, "<3>"),
        (logging.CRITICAL, "<2>"),
    ],
)
def test_the_journal_gets_a_syslog_level_and_no_time(level: int, prefix: str) -> None:
    line = renderer("journal", is_terminal=False)(record("fell route=%s", "a", level=level))
    assert line == f"{prefix}fell route=a"


@pytest.mark.parametrize(
    ("message", "args", "event", "context"),
    [
        ("stopped", (), "stopped", {}),
        ("draining timeout_s=%g", (10.5,), "draining", {"timeout_s": 10.5}),
        ("fell retry_s=%.1f", (0.512,), "fell", {"retry_s": 0.5}),
        ("a b c x=%s", (None,), "a b c", {"x": None}),
        ("a x=%s y=%s", (True, 2.5), "a", {"x": True, "y": 2.5}),
        ("a x=%s", (float("nan"),), "a", {"x": "nan"}),
        ("a x=%r", ("it's",), "a", {"x": "it's"}),
        ("a x=%r", (b"it",), "a", {"x": "b'it'"}),
        ('a x="%s" y=1', ("b c",), "a", {"x": "b c", "y": "1"}),
        ("took %d of %d in_s=%s", (1, 2, 3), "took 1 of 2", {"in_s": 3}),
        ("said key=%s: no", ("x",), "said key=x: no", {}),
        ("half x=%s and more", ("x",), "half x=x and more", {}),
        ("full x=%d%%", (50,), "full", {"x": "50%"}),
        ("100% sure x=1", (), "100% sure", {"x": "1"}),
        ("twice x=%s x=%s", (1, 2), "twice x=1", {"x": 2}),
        ("upper X=%s", (1,), "upper X=1", {}),
        ("hex x=%x", (255,), "hex", {"x": "ff"}),
        ("named %(a)s b=%(b)s", ({"a": 1, "b": 2},), "named 1 b=2", {}),
    ],
)
def test_trailing_pairs_of_the_template_become_fields(
    message: str, args: tuple[object, ...], event: str, context: dict[str, object]
) -> None:
    found = as_json(record(message, *args))
    assert found.pop("event") == event
    for key in ("ts", "level", "logger", "message"):
        del found[key]
    assert found == context


def test_an_argument_cannot_forge_a_field() -> None:
    found = as_json(record("refused topic=%s", "a level=error route=other\nready"))
    assert found["level"] == "info"
    assert "route" not in found
    assert found["topic"] == "a level=error route=other\nready"


def test_a_context_key_cannot_take_the_place_of_ours() -> None:
    found = as_json(record("changed level=%s event=%s", "debug", "x"))
    assert (found["level"], found["level_"]) == ("info", "debug")
    assert (found["event"], found["event_"]) == ("changed", "x")


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("127.0.0.1:8800", "127.0.0.1:8800"),
        ("group:/live/{device}", "group:/live/{device}"),
        ("Größe", "Größe"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("line\nfeed\r\t", r'"line\nfeed\r\t"'),
        ("\x1b[31m\x00\x9b", r'"\u001b[31m\u0000\u009b"'),
        ("a\u2028b\x85c", r'"a\u2028b\u0085c"'),
        ("\udc80", r'"\udc80"'),
        (None, "null"),
    ],
)
def test_text_quotes_what_could_be_misread(argument: object, shown: str) -> None:
    assert as_text(record("a x=%s", argument)).endswith(f" a x={shown}")


def test_libraries_say_who_they_are() -> None:
    assert as_text(record("odd thing", name="h2.connection")).endswith(
        "odd thing logger=h2.connection"
    )


def test_a_traceback_is_indented_lines_on_a_terminal() -> None:
    lines = as_text(caught(ValueError("no\x1b")), is_terminal=True).splitlines()
    assert lines[0].endswith("route fell route=a")
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-1] == "    ValueError: no\\u001b"
    assert all(line.startswith("    ") for line in lines[1:])


@pytest.mark.parametrize("log_format", ["text", "json", "journal"])
def test_a_traceback_is_one_field_elsewhere(log_format: LogFormat) -> None:
    line = renderer(log_format, is_terminal=log_format != "text")(caught(ValueError("no")))
    assert len(line.splitlines()) == 1
    assert "ValueError: no" in line
    assert "traceback" in line


def test_the_leaves_of_a_group_are_in_its_traceback() -> None:
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [OSError("the cause")])])
    assert "the cause" in str(as_json(caught(group))["traceback"])


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("too few x=%s y=%s", ("a",)),
        ("too many", ("a",)),
        ("wrong x=%d", ("a",)),
        ("broken x=%s", (Broken(),)),
        ("broken %r", (Broken(),)),
        ("odd %", (1,)),
        ("%(a)s", ({"b": 1},)),
        (Broken(), ()),
    ],
)
@pytest.mark.parametrize("log_format", ["text", "json", "journal"])
def test_a_broken_call_still_gives_its_line(
    log_format: LogFormat, message: object, args: tuple[object, ...]
) -> None:
    line = renderer(log_format, is_terminal=False)(record(message, *args))
    assert "log_error" in line
    assert str(message if isinstance(message, str) else "Broken").split()[0] in line


def test_an_exception_may_be_the_message() -> None:
    assert as_json(record(OSError("disk full")))["event"] == "disk full"


@pytest.mark.parametrize("log_format", ["text", "json", "journal"])
def test_secrets_never_appear(log_format: LogFormat) -> None:
    secret = Secret("hunter2")
    made = caught(ValueError(f"login with {secret} failed"))
    made.msg, made.args = "login %s password=%s also=%r", ([secret], secret, {"p": secret})
    assert "hunter2" not in renderer(log_format, is_terminal=False)(made)


def test_a_huge_argument_is_cut() -> None:
    assert len(as_text(record("refused topic=%s", "x" * 1_000_000))) < 5000


@given(
    event=st.text(max_size=30),
    arguments=st.lists(
        st.text(st.characters(), max_size=20) | st.integers() | st.floats(), max_size=4
    ),
    log_format=st.sampled_from(["text", "json", "journal"]),
)
def test_any_record_is_one_line_of_utf_8(
    event: str, arguments: list[object], log_format: LogFormat
) -> None:
    template = event.replace("%", "%%") + "".join(f" k{n}=%s" for n in range(len(arguments)))
    line = renderer(log_format, is_terminal=False)(record(template, *arguments))
    assert len(line.splitlines()) == 1
    line.encode()
    assert not any(ord(character) < 32 for character in line)


@given(arguments=st.lists(st.text(st.characters(), max_size=20), min_size=1, max_size=4))
def test_json_gives_every_argument_back(arguments: list[str]) -> None:
    template = "sent" + "".join(f" k{n}=%s" for n in range(len(arguments)))
    found = as_json(record(template, *arguments))
    assert [found[f"k{n}"] for n in range(len(arguments))] == arguments
    assert found["event"] == "sent"
