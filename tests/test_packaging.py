"""What is built, what it needs, and that it runs where nothing else of the project is."""

import ast
import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import routerd
from routerd import __version__

PROJECT = Path(__file__).parent.parent
PACKAGE = Path(routerd.__file__).parent
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
TABLE = """
[ws]
listen = "127.0.0.1:0"
[[route]]
name = "chat"
from = "ws:/chat/{room}"
to = "group:/chat/{room}"
"""


def requirements(*lines: str) -> dict[str, Requirement]:
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def imported_libraries(folder: Path) -> set[str]:
    """The distributions that the files in a folder import from, Python's own and ours apart."""
    modules: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(str(node.module).split(".")[0])
    found = packages_distributions()
    outside = modules - sys.stdlib_module_names - {"routerd"}
    return {canonicalize_name(found[module][0]) for module in outside}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new wheel and sdist."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, check=True, cwd=PROJECT, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that has the wheel, and borrows all that it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    (wheel,) = built.glob("*.whl")
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    command += ["install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    borrowed = Path(pytest.__file__).parent.parent
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")
    return folder / "bin"


def run(program: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(program), *arguments]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_library_that_routerd_imports_is_declared_and_none_besides() -> None:
    project = PYPROJECT["project"]
    declared = requirements(*project["dependencies"], *project["optional-dependencies"]["demo"])
    assert imported_libraries(PACKAGE) == set(declared)


def test_only_the_demo_imports_what_only_the_demo_needs() -> None:
    extra = set(requirements(*PYPROJECT["project"]["optional-dependencies"]["demo"]))
    for folder in PACKAGE.iterdir():
        if folder.is_dir() and folder.name != "demo":
            assert not imported_libraries(folder) & extra


def test_the_lock_file_has_all_that_is_declared() -> None:
    lock = (PROJECT / "tests" / "requirements.lock").read_text()
    pins = [line.split(";")[0].rstrip(" \\") for line in lock.splitlines() if "==" in line[:60]]
    locked = requirements(*[pin for pin in pins if not pin.startswith(("#", " "))])
    project = PYPROJECT["project"]
    declared = [
        *project["dependencies"],
        *project["optional-dependencies"]["demo"],
        *PYPROJECT["dependency-groups"]["test"],
        *PYPROJECT["build-system"]["requires"],
    ]
    for name, wanted in requirements(*declared).items():
        (pin,) = locked[name].specifier
        assert wanted.specifier.contains(pin.version), f"{wanted}: run `tests/run --relock`"


def test_the_version_is_the_same_everywhere() -> None:
    assert PYPROJECT["project"]["version"] == __version__


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_the_demos_table(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    kinds = {".py", ".typed", ".html", ".css", ".js"}
    files = [path for path in PACKAGE.rglob("*") if path.suffix in kinds]
    package = {f"routerd/{path.relative_to(PACKAGE)}" for path in files}
    inside = {name for name in names if not name.startswith(f"routerd-{__version__}.dist-info/")}
    assert inside == package | {"routerd/demo/demo.toml"}
    assert f"routerd-{__version__}.dist-info/licenses/LICENSE" in names


@pytest.mark.slow
def test_the_source_archive_holds_what_it_takes_to_build_and_test(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    wanted = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "etc/routes.toml"}
    assert wanted | {"routerd/cli.py", "tests/run", "tests/requirements.lock"} <= names
    assert not [name for name in names if ".cache/" in name]


@pytest.mark.slow
@pytest.mark.parametrize("command", [["routerd"], ["python", "-m", "routerd"]])
def test_the_installed_program_says_its_version(
    installed: Path, tmp_path: Path, command: list[str]
) -> None:
    answer = run(installed / command[0], *command[1:], "--version", folder=tmp_path)
    assert (answer.stdout, answer.returncode) == (f"routerd {__version__}\n", 0), answer.stderr


@pytest.mark.slow
def test_the_installed_program_checks_a_table(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "routes.toml").write_text(TABLE)
    answer = run(installed / "routerd", "check", "routes.toml", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "chat" in answer.stdout


@pytest.mark.slow
def test_the_installed_demo_goes_all_the_way(installed: Path, tmp_path: Path) -> None:
    answer = run(installed / "routerd", "demo", "--for", "1s", folder=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "lost 0" in answer.stdout
