"""The pages under docs/ and the README as data: headings, links, tables and blocks of code."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[((?:`[^`]*`|[^\]`])*)\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class PageTable:
    """One table of a page.

    Attributes:
        heading: the text of the nearest heading above it.
        columns: what its columns are called.
    """

    heading: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]

    def column(self, name: str) -> list[str]:
        """The cells of one column, from the top."""
        return [row[name] for row in self.rows]


@dataclass(frozen=True)
class Link:
    """A link of a page."""

    text: str
    target: str
    anchor: str


def pages() -> list[Path]:
    """Every page that people read."""
    return [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "etc/examples/README.md"]


def read(name: str) -> str:
    """The text of a page of docs/."""
    return (DOCS / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code in one language."""
    return [found[2] for found in _FENCE.finditer(text) if found[1] == language]


def spans(text: str) -> list[str]:
    """What stands in backticks, but for blocks of code."""
    return _SPAN.findall(_FENCE.sub("", text))


def links(text: str) -> list[Link]:
    """The links outside blocks of code."""
    found = _LINK.findall(_FENCE.sub("", text))
    return [Link(words, *_split(target)) for words, target in found]


def anchors(text: str) -> set[str]:
    """What `#` may lead to, as GitHub makes it of the headings."""
    titles = [line.lstrip("# ") for line in _lines(text) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def tables(text: str) -> list[PageTable]:
    """Every table, from the top."""
    heading, found = "", []
    lines = _lines(text)
    for number, line in enumerate(lines):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if line.startswith("| ---"):
            columns = _cells(lines[number - 1])
            found.append(PageTable(heading, columns, _rows(lines[number + 1 :], columns)))
    return found


def table(text: str, *columns: str) -> PageTable:
    """The one table whose first columns are called so."""
    (found,) = [one for one in tables(text) if one.columns[: len(columns)] == columns]
    return found


def _lines(text: str) -> list[str]:
    return _FENCE.sub("", text).splitlines()


def _split(target: str) -> tuple[str, str]:
    path, _, anchor = target.partition("#")
    return path, anchor


def _rows(lines: list[str], columns: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(columns, _cells(line), strict=True)))
    return tuple(rows)


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
