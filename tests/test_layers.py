"""Imports point downward only: the order of the list is the architecture.

The rules are functions over a folder, so that the last tests can show each of them a package
that breaks it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import routerd

PACKAGE = Path(routerd.__file__).parent

LAYERS = [
    ["__main__"],
    ["cli"],
    ["usage"],
    ["demo"],
    ["daemon"],
    ["admin", "config", "heartbeat", "log", "reload", "systemd"],
    ["log_lines", "metrics", "route"],
    ["listener_metrics"],
    ["families"],
    ["connectors", "delivery", "endings"],
    ["groups", "shape", "supervise"],
    ["interfaces", "mailbox"],
    ["scope", "status"],
    ["certificate", "checks", "receipt"],
    ["address", "claims", "section", "tls"],
    ["feed", "fields", "findings", "memory", "message", "secrets", "template", "terminal", "units"],
    ["errors", "unrest"],
    ["problems"],
]
"""From the top. A module imports from lower layers, and a folder from within itself.

Two of one layer may name each other's types (under TYPE_CHECKING), no more.
"""

RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


class Import(NamedTuple):
    """One import of routerd's own code."""

    line: int
    module: str
    is_for_types: bool

    @property
    def unit(self) -> str:
        """What it takes from the top level; the package itself if it takes only its version."""
        parts = self.module.split(".")
        return parts[1] if len(parts) > 1 and parts[1] != "__version__" else ""


def modules(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*.py") if path != package / "__init__.py")


def unit_of(path: Path, package: Path) -> str:
    """The file or folder of the package's top level that a file belongs to."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def imports(path: Path) -> list[Import]:
    """Every import of routerd's own code, those inside functions and conditions included."""
    return list(_imports_in(ast.parse(path.read_text()), path=path, is_for_types=False))


def _imports_in(node: ast.AST, *, path: Path, is_for_types: bool) -> Iterator[Import]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{path}:{node.lineno}: import by the full name"
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    for name in names:
        if name.split(".")[0] == "routerd":
            yield Import(getattr(node, "lineno", 0), name, is_for_types)
    guarded = _guarded_by_type_checking(node)
    for child in ast.iter_child_nodes(node):
        yield from _imports_in(child, path=path, is_for_types=is_for_types or child in guarded)


def _guarded_by_type_checking(node: ast.AST) -> list[ast.stmt]:
    if isinstance(node, ast.If) and ast.unparse(node.test).split(".")[-1] == "TYPE_CHECKING":
        return node.body
    return []


def faults(package: Path) -> list[str]:
    """What points upward or sideways, or has no place in the order."""
    found = []
    for path in modules(package):
        own = unit_of(path, package)
        if own not in RANK:
            found.append(f"{path.name}: {own} has no place in LAYERS: decide where it belongs")
            continue
        for each in imports(path):
            lowest = RANK[own] if each.is_for_types else RANK[own] + 1
            if each.unit not in ("", own) and RANK.get(each.unit, -1) < lowest:
                found.append(f"{path.relative_to(package)}:{each.line}: {own} imports {each.unit}")
    return found


def acquaintances(package: Path) -> list[str]:
    """Who imports a connector by its name: only itself and the two tables of connectors may."""
    folder = package / "connectors"
    connectors = {path.name for path in folder.iterdir() if path.is_dir()}
    found = []
    for path in modules(package):
        if path in (folder / "table.py", folder / "checks.py"):
            continue
        others = connectors - set(path.relative_to(package).parts[1:2])
        forbidden = [("routerd", "connectors", name) for name in others]
        for line, module, _ in imports(path):
            if tuple(module.split(".")[:3]) in forbidden:
                found.append(f"{path.relative_to(package)}:{line}: imports {module}")
    return found


def test_imports_point_downward() -> None:
    assert not faults(PACKAGE)


def test_nobody_knows_a_connector_by_its_name() -> None:
    assert not acquaintances(PACKAGE)


def test_the_order_covers_the_package_and_nothing_else() -> None:
    assert {unit_of(path, PACKAGE) for path in modules(PACKAGE)} == set(RANK)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("mailbox.py", "import routerd.route", ["mailbox.py:1: mailbox imports route"]),
        ("mailbox.py", "from routerd import route", ["mailbox.py:1: mailbox imports route"]),
        (
            "mailbox.py",
            "def f():\n    from routerd.route import R",
            ["mailbox.py:2: mailbox imports route"],
        ),
        ("groups.py", "import routerd.supervise", ["groups.py:1: groups imports supervise"]),
        ("mailbox.py", "import routerd.interfaces", ["mailbox.py:1: mailbox imports interfaces"]),
        (
            "mailbox.py",
            "if TYPE_CHECKING:\n    import routerd.route",
            ["mailbox.py:2: mailbox imports route"],
        ),
        (
            "mailbox.py",
            "if TYPE_CHECKING:\n    import trio\nelse:\n    import routerd.interfaces",
            ["mailbox.py:4: mailbox imports interfaces"],
        ),
        (
            "connectors/kafka/sink.py",
            "from routerd.admin.facts import f",
            ["connectors/kafka/sink.py:1: connectors imports admin"],
        ),
        (
            "errors.py",
            "import routerd\nimport routerd.novelty",
            ["errors.py:2: errors imports novelty"],
        ),
        (
            "novelty.py",
            "import routerd.errors",
            ["novelty.py: novelty has no place in LAYERS: decide where it belongs"],
        ),
    ],
)
def test_an_import_that_does_not_point_downward_is_found(
    tmp_path: Path, name: str, text: str, expected: list[str]
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert faults(tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mailbox.py", "from routerd.status import RouteStatus"),
        ("mailbox.py", "if TYPE_CHECKING:\n    from routerd.interfaces import Source"),
        ("daemon.py", "from routerd import __version__"),
        ("admin/app.py", "from routerd.admin.page import render\nimport trio"),
    ],
)
def test_an_import_that_points_downward_is_none_of_them(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert not faults(tmp_path)


def test_an_import_by_a_relative_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mailbox.py").write_text("from . import route")
    with pytest.raises(AssertionError, match="full name"):
        faults(tmp_path)


@pytest.mark.parametrize("name", ["connectors/mqtt/source.py", "daemon.py"])
def test_who_knows_a_connector_by_its_name_is_found(tmp_path: Path, name: str) -> None:
    for connector in ("kafka", "mqtt"):
        (tmp_path / "connectors" / connector).mkdir(parents=True)
    (tmp_path / name).write_text("from routerd.connectors import kafka\n")
    assert acquaintances(tmp_path) == [f"{name}:1: imports routerd.connectors.kafka"]


def test_a_connector_knows_itself_and_the_tables_know_all(tmp_path: Path) -> None:
    (tmp_path / "connectors" / "mqtt").mkdir(parents=True)
    for name in ("mqtt/source.py", "table.py", "checks.py"):
        (tmp_path / "connectors" / name).write_text("from routerd.connectors.mqtt.link import L\n")
    assert not acquaintances(tmp_path)
