"""The grammar of references and templates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.template import Reference, TemplateError, parse_reference, parse_template


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("device", Reference("capture", ("device",))),
        ("_a1", Reference("capture", ("_a1",))),
        ("rest#", Reference("rest", ("rest",))),
        (".a.b", Reference("field", ("a", "b"))),
        (".a.0", Reference("field", ("a", "0"))),
        (".with space.ä", Reference("field", ("with space", "ä"))),
        (".", Reference("field", ())),
        (".x?", Reference("field", ("x",), optional=True)),
        ("device?", Reference("capture", ("device",), optional=True)),
        ("@topic", Reference("meta", ("topic",))),
        ("@query.x?", Reference("meta", ("query", "x"), optional=True)),
        ("@header.User-Agent", Reference("meta", ("header", "user-agent"))),
        ("@query.a.b", Reference("meta", ("query", "a.b"))),
    ],
)
def test_references_name_what_a_message_has(text: str, reference: Reference) -> None:
    assert parse_reference(text) == reference
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "names nothing"),
        ("a b", "no reference"),
        ("1a", "no reference"),
        ("a.b", "no reference"),
        ("ä", "no reference"),
        ("#", "no reference"),
        ("a##", "no reference"),
        ("a??", "no reference"),
        (".a..b", "empty step"),
        (".a.", "empty step"),
        ("@topci", "did you mean `{@topic}`?"),
        ("@zzz", "there are @topic"),
        ("@", "there are @topic"),
        ("@topic.x", "unknown"),
        ("@query", "needs a name"),
        ("@header.", "needs a name"),
    ],
)
def test_what_is_no_reference_is_refused_in_a_sentence(text: str, part: str) -> None:
    with pytest.raises(TemplateError) as refused:
        parse_reference(text)

    assert part in str(refused.value)


def test_a_template_is_texts_and_references() -> None:
    template = parse_template("{{{a}-{.b?}}}")

    assert template.parts == (
        "{", Reference("capture", ("a",)), "-", Reference("field", ("b",), optional=True), "}",
    )  # fmt: skip
    assert [str(one) for one in template.references] == ["a", ".b?"]
    assert template.literal is None


def test_a_template_without_references_is_a_literal() -> None:
    assert parse_template("{{a}} b").literal == "{a} b"
    assert parse_template("").literal == ""


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a{b", "the `{` at character 2 is never closed; write `{{` for a brace"),
        ("a}b", "a `}` at character 2 closes nothing; write `}}` for a brace"),
        ("{{a}", "a `}` at character 4 closes nothing; write `}}` for a brace"),
        ("{}", "`{}` names nothing; write a name between the braces, or `{{}}` for braces"),
        ("{a{b}}", "no reference"),
    ],
)
def test_a_brace_too_many_is_refused_with_its_place(text: str, part: str) -> None:
    with pytest.raises(TemplateError) as refused:
        parse_template(text)

    assert part in str(refused.value)


@given(st.text(alphabet="{}#?.@ab0 /", max_size=12))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        template = parse_template(text)
    except TemplateError:
        return
    again = "".join(
        f"{{{part}}}" if isinstance(part, Reference) else part.replace("{", "{{").replace("}", "}}")
        for part in template.parts
    )
    assert parse_template(again).parts == template.parts
