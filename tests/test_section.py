"""Reading one table key by key: typed values, what is said of wrong ones, unknown keys."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from routerd.findings import Findings, did_you_mean, kind_of, listed, quoted
from routerd.secrets import Secret
from routerd.section import Section, split_address

CANARY = "hunter2-canary"


def section_of(values: Mapping[str, object], *, folder: Path = Path()) -> Section:
    findings = Findings(len)
    return Section(values, path=("t",), label="[t]", findings=findings, folder=folder)


def said(section: Section) -> list[str]:
    return [problem.sentence for problem in section.findings.problems]


# --- values


def test_values_come_as_they_are_and_missing_ones_as_the_default() -> None:
    section = section_of({"s": "x", "i": 3, "f": True, "d": "2s", "b": "1KiB", "c": "two"})

    assert section.text("s") == "x"
    assert section.integer("i", least=1, most=5, default=2) == 3
    assert section.flag("f", default=False)
    assert section.duration("d", least="1s", most="5s", default=9.0) == 2
    assert section.size("b", least="1B", most="2KiB", default=7) == 1024
    assert section.choice("c", ("one", "two"), default="one") == "two"
    assert section.text("none") is None
    assert section.string("none") is None
    assert section.secret("none") is None
    assert section.file("none") is None
    assert section.section("none") is None
    assert section.integer("none", least=1, most=5, default=2) == 2
    assert not section.flag("none", default=False)
    assert section.duration("none", least="1s", most="5s", default=9.0) == 9
    assert section.size("none", least="1B", most="2KiB", default=7) == 7
    assert section.choice("none", ("one", "two"), default="one") == "one"
    assert section.listen("none", default=("h", 1)) == ("h", 1)
    assert said(section) == []


def test_each_text_of_a_list_may_be_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTERD_TEST_TEXT", "from elsewhere")
    section = section_of({"list": ["here", {"env": "ROUTERD_TEST_TEXT"}]})
    section.takes_references = True

    assert section.texts("list") == ("here", "from elsewhere")


def test_a_reference_in_a_list_that_leads_nowhere_is_one_problem() -> None:
    section = section_of({"list": ["here", {"env": "ROUTERD_TEST_NO_TEXT"}]})
    section.takes_references = True

    assert section.texts("list") is None
    assert len(said(section)) == 1
    assert "ROUTERD_TEST_NO_TEXT" in said(section)[0]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (3, "`k` of [t] must be a text in quotes, not the number 3"),
        (True, "`k` of [t] must be a text in quotes, not true"),
        ([], "`k` of [t] must be a text in quotes, not a list"),
        ("", "`k` of [t] is empty; write a value or remove it"),
    ],
)
def test_a_wrong_text_is_said_and_read_as_none(value: object, sentence: str) -> None:
    section = section_of({"k": value})

    assert section.text("k") is None
    assert said(section) == [sentence]


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (0, "1 to 5, not 0"),
        (6, "1 to 5, not 6"),
        (True, "not true"),
        (2.0, "not the number 2.0"),
        ("2", 'not the text "2"'),
    ],
)
def test_a_wrong_number_is_said_and_read_as_the_default(value: object, part: str) -> None:
    section = section_of({"k": value})

    assert section.integer("k", least=1, most=5, default=4) == 4
    (sentence,) = said(section)
    assert sentence.startswith("`k` of [t] must be ")
    assert part in sentence


def test_a_number_too_long_to_print_is_not_printed() -> None:
    section = section_of({"k": 10**5000})

    section.integer("k", least=1, most=5, default=4)

    assert said(section) == ["`k` of [t] must be 1 to 5, not a long number"]


def test_values_with_units_have_bounds_and_need_the_unit() -> None:
    section = section_of({"a": "9s", "b": 9, "c": "9", "d": "9MiB"})

    for key in "abc":
        section.duration(key, least="1s", most="5s", default=2.0)
    section.size("d", least="1B", most="1MiB", default=1)

    assert said(section) == [
        '`a` of [t] must be "1s" to "5s", not "9s"',
        '`b` of [t] must be a time with its unit, as in "30s", not the number 9',
        '`c` of [t] must be a time with its unit, as in "30s", not the text "9"',
        '`d` of [t] must be "1B" to "1MiB", not "9MiB"',
    ]


def test_a_choice_names_its_words_and_the_nearest_one() -> None:
    section = section_of({"k": "twoo", "l": 2})

    section.choice("k", ("one", "two"), default="one")
    section.choice("l", ("one", "two"), default="one")

    assert said(section) == [
        '`k` of [t] must be "one" or "two", not "twoo"; did you mean "two"?',
        '`l` of [t] must be "one" or "two", not 2',
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:0", ("::1", 0)),
        ("host", ("host", None)),
        ("[fe80::1%eth0]", ("fe80::1%eth0", None)),
    ],
)
def test_addresses_are_a_host_and_perhaps_a_port(
    text: str, address: tuple[str, int | None]
) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["", ":80", "a:65536", "::1:80", "a b:1", "a:x", "u@a:1", "a:1/x"])
def test_what_is_no_address_is_told(text: str) -> None:
    assert split_address(text) is None


# --- references


def test_a_reference_stands_for_a_text_and_is_shown_by_its_origin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROUTERD_TEST", CANARY)
    section = section_of({"k": {"env": "ROUTERD_TEST"}, "open": "x"})

    assert section.string("k") == CANARY
    assert section.secret("k") == Secret(CANARY)
    assert section.shown("k") == "the value of $ROUTERD_TEST"
    assert section.shown("open") == '"x"'
    assert said(section) == []


def test_what_a_reference_leads_to_is_in_no_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTERD_TEST", CANARY)
    section = section_of({"k": {"env": "ROUTERD_TEST"}})

    section.listen("k", default=("h", 1))
    section.file("k")

    assert len(said(section)) == 2
    assert CANARY not in "".join(said(section))


def test_a_secret_that_stands_open_is_refused_and_not_shown() -> None:
    section = section_of({"k": CANARY})

    assert section.secret("k") is None
    assert said(section)[0].startswith("`k` of [t] stands open in the file")
    assert CANARY not in said(section)[0]


def test_a_reference_that_leads_nowhere_is_said() -> None:
    section = section_of({"k": {"file": "none"}, "l": {"fiel": "x"}}, folder=Path("/nowhere"))

    assert section.string("k") is None
    assert section.secret("l") is None
    missing, wrong = said(section)
    assert missing == (
        "`k` of [t] takes /nowhere/none, which can't be read: No such file or directory; "
        "name a file that routerd may read"
    )
    assert wrong.startswith("`l` of [t] must be a table with one key, { file =")


def test_a_file_is_found_from_the_folder_of_the_table(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    section = section_of({"k": "ca.pem", "l": "none", "m": "a\0b"}, folder=tmp_path)

    assert section.file("k") == tmp_path / "ca.pem"
    assert section.file("l") is None
    assert section.file("m") is None
    assert len(said(section)) == 2


# --- tables and keys


def test_keys_that_nobody_asked_for_are_unknown() -> None:
    section = section_of({"name": "x", "nmae": "y", "Broker": 1, "zzz": 2})
    section.hints = {"broker": "write `url`"}
    section.text("name")

    section.finish(hints={"other": "x"})

    assert said(section) == [
        "unknown key `nmae` in [t]; did you mean `name`?",
        "unknown key `Broker` in [t]; write `url`",
        "unknown key `zzz` in [t]; it takes `name`",
    ]


def test_a_table_inside_has_its_own_path_and_label() -> None:
    section = section_of({"in": {"k": 1}, "no": 3})

    inner = section.section("in")
    section.section("no")

    assert inner is not None
    inner.problem("k", "wrong")
    assert [problem.line for problem in section.findings.problems] == [2, 3]
    assert inner.label == "`in` of [t]"
    assert said(section)[0] == "`no` of [t] must be a table, not the number 3"


# --- words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\nb", '"a\\nb"'),
        (True, "true"),
        (1.5, "1.5"),
        ("x" * 500, '"' + "x" * 79 + '..."'),
        (10**100, "a long number"),
    ],
)
def test_values_are_shown_on_one_line_and_not_too_much_of_them(value: object, shown: str) -> None:
    assert quoted(value) == shown


def test_kinds_of_values_are_in_words() -> None:
    values = [True, "x", 1, {}, [], None]

    assert [kind_of(value) for value in values] == [
        "true", 'the text "x"', "the number 1", "a table", "a list", "a date or a time",
    ]  # fmt: skip


def test_words_are_listed_with_an_and() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "`a`"
    assert listed(["a", "b", "c"]) == "`a`, `b` and `c`"
    assert listed(map(str, range(20))).endswith("`13`, ...")


def test_only_near_words_are_meant() -> None:
    assert did_you_mean("urk", ["url", "ca"]) == "; did you mean `url`?"
    assert did_you_mean("URL", ["url"]) == "; did you mean `url`?"
    assert did_you_mean("password", ["url"]) == ""
    assert did_you_mean("u" * 1000, ["u" * 1000]) == ""


def test_sentences_stay_on_one_line() -> None:
    findings = Findings(lambda _: 1)

    findings.problem((), "a\nb\x1b")

    assert findings.problems[0].sentence == "a\\x0ab\\x1b"
