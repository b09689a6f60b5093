"""The reasons of the metrics, in the code and on the page."""

import pytest

from routerd.connectors.websocket.reasons import Ending, Refusal
from tests.docs_pages import PageTable, read, table

PAGE = read("websocket.md")


@pytest.mark.parametrize(
    ("shown", "known"),
    [
        (table(PAGE, "close code", "reason"), [(str(each.code), each.word) for each in Ending]),
        (
            table(PAGE, "status", "reason"),
            [(str(each.status.value), each.word) for each in Refusal],
        ),
    ],
    ids=["endings", "refusals"],
)
def test_the_page_has_every_reason_with_what_the_client_is_told(
    shown: PageTable, known: list[tuple[str, str]]
) -> None:
    told, because = shown.columns[0], shown.columns[2]
    assert [(row[told], row["reason"].strip("`")) for row in shown.rows] == known
    assert all(shown.column(because))


def test_a_reason_is_one_word_and_means_one_thing() -> None:
    words = [each.word for each in Ending]
    assert len(set(words)) == len(words)
    words = [each.word for each in Refusal]
    assert len(set(words)) == len(words)
