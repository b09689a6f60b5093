"""The pages under docs/: short, and linked to what is there."""

import ast
import re
import shutil
from pathlib import Path

import pytest

from routerd.config.load import load_table
from tests.docs_pages import DOCS, ROOT, anchors, blocks, links, pages, read, table
from tests.entry_tokens import write_files
from tests.rig.certs import Certs

LONGEST = 300
"""Lines of a page."""
ROUTE = '[[route]]\nname = "r"\nfrom = "mqtt:a"\nto = "log:a"\n'
"""Added to a block that shows only a connection."""
PAGES = (
    "connectors.md",
    "operating.md",
    "promises.md",
    "reference.md",
    "tls.md",
    "websocket-access.md",
    "websocket-clients.md",
    "websocket.md",
)

_MACHINE = re.compile(r"(?<![\w.])/(?:tmp|work|home|root)\b")


def named(path: Path) -> str:
    return path.name


def test_there_is_a_page_for_each_subject() -> None:
    assert tuple(sorted(path.name for path in DOCS.iterdir())) == PAGES


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=named)
def test_a_page_is_short(path: Path) -> None:
    assert path.read_text("utf-8").count("\n") <= LONGEST


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=named)
def test_a_page_names_no_machine_of_ours(path: Path) -> None:
    assert _MACHINE.findall(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", pages(), ids=named)
def test_every_link_leads_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for link in links(text):
        if "://" in link.target:
            continue
        target = path.parent / link.target if link.target else path
        assert target.exists(), link
        if link.anchor:
            assert link.anchor in anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("path", pages(), ids=named)
def test_every_test_that_a_page_names_is_there(path: Path) -> None:
    """A link whose text is the name of a test leads to the file that has it."""
    for link in links(path.read_text("utf-8")):
        name = link.text.strip("`")
        if name.startswith("test_"):
            assert name in functions_of(path.parent / link.target), link


def test_every_promise_is_shown_by_a_test() -> None:
    text = (DOCS / "promises.md").read_text("utf-8")

    assert len([link for link in links(text) if link.text.startswith("`test_")]) >= 40


def test_what_check_says_is_in_the_words_of_the_page() -> None:
    tables_ = (ROOT / "tests" / "config").glob("*.good.toml")
    said = "\n".join(path.read_text("utf-8") for path in tables_)

    for cell in table(read("promises.md"), "`check` says").column("`check` says"):
        assert f"promise  {cell.strip('`').partition(' kafka:')[0]}" in said, cell


def test_the_readme_leads_to_every_page() -> None:
    targets = {link.target for link in links((ROOT / "README.md").read_text("utf-8"))}

    assert {f"docs/{page}" for page in PAGES} <= targets


@pytest.mark.parametrize(
    ("name", "block"),
    [
        (path.name, block)
        for path in DOCS.glob("*.md")
        for block in blocks(path.read_text(), "toml")
    ],
)
def test_every_table_in_the_pages_loads_without_a_warning(
    tmp_path: Path, certs: Certs, monkeypatch: pytest.MonkeyPatch, name: str, block: str
) -> None:
    shutil.copy(certs.ca, tmp_path / "ca.pem")
    shutil.copy(certs.client.cert, tmp_path / "client.pem")
    shutil.copy(certs.client.key, tmp_path / "client.key")
    shutil.copy(certs.server.cert, tmp_path / "fullchain.pem")
    shutil.copy(certs.server.key, tmp_path / "privkey.pem")
    write_files(tmp_path)
    (tmp_path / "mqtt").write_text("hunter2\n")
    (tmp_path / "mqtt").chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    path = tmp_path / "routes.toml"
    path.write_text(block if "[[route]]" in block else block + ROUTE, encoding="utf-8")

    assert not load_table(path).warnings, name


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
