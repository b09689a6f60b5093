"""Payloads that are decoded only as far as a route looks into them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.fields import MISSING, NOT_JSON, Path, compile_fields


def read(payload: bytes, *paths: Path) -> list[object]:
    decode, readers = compile_fields(paths)
    document = decode(payload)
    return [NOT_JSON if document is NOT_JSON else readers[path](document) for path in paths]


@pytest.mark.parametrize(
    ("payload", "path", "value"),
    [
        (b'{"a": 1}', ("a",), 1),
        (b'{"a": {"b": "x"}}', ("a", "b"), "x"),
        (b'{"a": {"b": null}}', ("a", "b"), None),
        (b'{"a": 1}', ("b",), MISSING),
        (b'{"a": 1}', ("a", "b"), MISSING),
        (b'{"a": null}', ("a", "b"), MISSING),
        (b'{"a": [10, 11]}', ("a", "1"), 11),
        (b'{"a": [10, 11]}', ("a", "2"), MISSING),
        (b'{"a": {"1": "field"}}', ("a", "1"), "field"),
        (b'{"a": [{"b": 7}]}', ("a", "0", "b"), 7),
        (b"[1, 2]", ("0",), 1),
        (b"[1, 2]", ("a",), MISSING),
        (b"7", (), 7),
        (b"7", ("a",), MISSING),
        (b'{"a": 1, "a": 2}', ("a",), 2),
        (b'{"with space": {"\xc3\xa4": true}}', ("with space", "ä"), True),
        (b'{"__class__": 5, "f0": 6}', ("__class__",), 5),
        (b'{"f0": 6, "a": 1}', ("f0",), 6),
        (b'{"a": 12345678901234567890123}', ("a",), 12345678901234567890123),
    ],
)
def test_a_path_leads_to_a_value_or_to_nothing(payload: bytes, path: Path, value: object) -> None:
    assert read(payload, path) == [value]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"nan", b"{'a': 1}", b'{"a": 1} x', b'{"a": "\xff"}', b"[" * 5000, b"\xff"],
)
def test_what_is_no_json_is_told_apart(payload: bytes) -> None:
    assert read(payload, ("a",)) == [NOT_JSON]


def test_paths_of_different_depth_are_read_from_one_document() -> None:
    paths = [("a",), ("a", "b"), ("a", "c", "0"), ("d",), ()]

    found = read(b'{"a": {"b": 1, "c": [2]}, "d": 3, "e": 4}', *paths)

    whole = {"a": {"b": 1, "c": [2]}, "d": 3, "e": 4}
    assert found == [whole["a"], 1, 2, 3, whole]


def test_another_shape_than_the_paths_expect_is_walked() -> None:
    assert read(b'{"a": 1, "d": 3}', ("a", "b"), ("d",)) == [MISSING, 3]
    assert read(b'[{"a": 1}]', ("a", "b"), ("d",)) == [MISSING, MISSING]


NAMES = st.sampled_from(["a", "b", "0", "1"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(NAMES, max_size=3).map(tuple)


def walked(value: object, path: Path) -> object:
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value


@pytest.mark.slow
@given(DOCUMENTS, st.lists(PATHS, min_size=1, max_size=4))
def test_the_generated_struct_finds_what_a_plain_walk_finds(
    document: object, paths: list[Path]
) -> None:
    found = read(json.dumps(document).encode(), *paths)

    assert found == [walked(document, path) for path in paths]
