"""Where keys and values of a TOML text stand."""

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from routerd.config.lines import index_lines


def test_tables_keys_and_values_have_the_line_they_begin_on() -> None:
    lines = index_lines('# first\n[mqtt]\nurl = "x"\n\n[kafka.options]\n"a.b" = 1 # end\n')

    assert lines.of == {
        ("mqtt",): 2,
        ("mqtt", "url"): 3,
        ("kafka",): 5,
        ("kafka", "options"): 5,
        ("kafka", "options", "a.b"): 6,
    }


def test_tables_inside_an_array_belong_to_its_newest_element() -> None:
    text = (
        '[[route]]\nname = "a"\n[route.when]\nx = 1\n[[route]]\n[[route.to]]\na = 1\n[[route.to]]\n'
    )

    of = index_lines(text).of

    assert of["route", 0] == 1
    assert of["route", 0, "when", "x"] == 4
    assert of["route", 1] == 5
    assert (of["route", 1, "to", 0, "a"], of["route", 1, "to", 1]) == (7, 8)


def test_elements_of_long_arrays_have_their_own_lines() -> None:
    of = index_lines('to = [\n  "a", # one\n  # two\n  { address = "b" },\n]\nnext = 1').of

    assert (of["to", 0], of["to", 1], of["to", 1, "address"], of[("next",)]) == (2, 4, 4, 6)


def test_dotted_and_quoted_keys_lead_to_nested_paths() -> None:
    of = index_lines("a . 'b.c' . \"d\\u0041\" = { e.f = 1 }").of

    assert ("a", "b.c", "dA", "e", "f") in of


def test_brackets_quotes_and_signs_inside_texts_are_skipped() -> None:
    text = (
        'a = """\n[no]\n""\\"" x = 1"""\nb = \'\'\'\n[[no]] # \'\'\'\nc = "\\"]" # = [\n'
        "d = 1979-05-27 07:32:00Z\ne = '\\'\nf = 1"
    )

    assert index_lines(text).of == {
        ("a",): 1, ("b",): 4, ("c",): 6, ("d",): 7, ("e",): 8, ("f",): 9,
    }  # fmt: skip


def test_line_ends_of_windows_count_once() -> None:
    assert index_lines("a = 1\r\n\r\nb = 2\r\n").of == {("a",): 1, ("b",): 3}


def test_inline_tables_over_several_lines_are_noted() -> None:
    assert index_lines("a = { b = 1 }\nc = {\n d = 1,\n}\n").long_tables == [2]


def test_what_has_no_line_takes_that_of_what_is_around_it() -> None:
    lines = index_lines("\n[a]\nb = [1]")

    assert lines.find(("a", "missing", "deeper")) == 2
    assert lines.find(("a", "b", 7)) == 3
    assert lines.find(("nothing",)) == 1


KEYS = st.sampled_from(["a", "b", '"c d"', "'e.f'", "a.b", '"\\t"'])
SCALARS = st.sampled_from(
    [
        "1",
        '"x"',
        "''",
        '""',
        "'''\n]'''",
        '"""\n" """',
        "true",
        "1.5e3",
        "2020-01-01 00:00:00",
        "07:00",
    ]
)
GAPS = st.sampled_from(["", " ", "\n", " # }]\n", "\n\n\t"])


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    elements = st.lists(st.tuples(GAPS, values, GAPS).map("".join), max_size=3)
    return st.tuples(elements, GAPS).map(lambda pair: f"[{','.join(pair[0])}{pair[1]}]")


def inline_tables(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(GAPS, KEYS, values, GAPS), max_size=3)
    return pairs.map(
        lambda each: "{" + ",".join(f"{a}{key} = {value}{b}" for a, key, value, b in each) + "}"
    )


VALUES = st.recursive(SCALARS, lambda values: arrays(values) | inline_tables(values), max_leaves=8)
LINES = st.one_of(
    st.tuples(KEYS, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    KEYS.map(lambda key: f"[ {key} ]"),
    KEYS.map(lambda key: f"[[{key}]] # x"),
    st.sampled_from(["", "# [x]"]),
)


def paths_in(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    steps: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    found = [path] if path else []
    return found + [deeper for step, inner in steps for deeper in paths_in(inner, (*path, step))]


@pytest.mark.slow
@given(st.lists(LINES, max_size=8).map("\n".join))
def test_every_path_that_tomli_finds_has_a_line(text: str) -> None:
    try:
        values = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return

    of = index_lines(text).of

    assert set(paths_in(values)) == set(of)
    assert all(1 <= line <= text.count("\n") + 1 for line in of.values())
