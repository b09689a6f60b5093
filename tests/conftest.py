"""Fixtures that every test may ask for: brokers, certificates and routerd itself.

Brokers are real and empty, and they surely stop; what they can do is in `tests/rig`. The rig's
methods block: an async test calls the slow ones by `trio.to_thread.run_sync`.

A test that asks for mosquitto or Kafka gets the marker of that name, one that asks for Chromium or
another of Debian's programs `debian`, and all of them `slow`, from
`pytest_collection_modifyitems`. One that comes by them in another way (`getfixturevalue`, a
parameter) marks itself. `tests/run --embedded` leaves these markers out.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.database import DirectoryBasedExampleDatabase
from playwright.sync_api import Browser

from tests.rig.browser import open_browser
from tests.rig.certs import Certs
from tests.rig.daemon import Routerd
from tests.rig.embedded_mqtt import EmbeddedMqtt
from tests.rig.kafka import Kafka
from tests.rig.mockkafka import MockKafka
from tests.rig.mosquitto import Mosquitto
from tests.rig.programs import find_program

NEEDS = {
    "start_mosquitto": "mosquitto",
    "kafka": "kafka",
    "start_kafka": "kafka",
    "browser": "debian",
    "debian_program": "debian",
}
"""The fixtures that all others of a real broker or a program rest on, and the marker of each."""

CACHE = Path(__file__).parent / ".cache"
_RANKS = ("kafka", "mosquitto", "debian", "slow")
_numbers = itertools.count(1)

IS_CI = "CI" in os.environ

set_hypothesis_home_dir(CACHE / "hypothesis")
settings.register_profile(
    "routerd",
    deadline=None,  # how long an example takes says more about the machine than about the code
    derandomize=IS_CI,  # people look for new examples; CI says the same of the same commit
    database=None if IS_CI else DirectoryBasedExampleDatabase(CACHE / "hypothesis" / "examples"),
    print_blob=True,
)
settings.load_profile("routerd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs a real broker, and puts what is quick and needs least first."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in NEEDS:
                item.add_marker(NEEDS[fixture])
                item.add_marker("slow")
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    found = [place for place, name in enumerate(_RANKS) if item.get_closest_marker(name)]
    return -min(found, default=len(_RANKS))


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    """A certificate authority, a server's certificate for localhost, and a client's."""
    return Certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def start_mosquitto() -> Iterator[Callable[..., Mosquitto]]:
    """Starts a mosquitto of the test's own making, as often as it likes.

    Takes the arguments of `Mosquitto`, e.g. `start_mosquitto(tls=certs, persistence=True)`.
    """
    with ExitStack() as running:

        def start(**options: object) -> Mosquitto:
            return running.enter_context(Mosquitto(**options))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def mosquitto(start_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    """A mosquitto for this test alone: sessions and queues without limit, in memory."""
    return start_mosquitto()


@pytest.fixture
def embedded_mqtt() -> Iterator[EmbeddedMqtt]:
    """A rumqttd for this test alone, MQTT 5 and 3.1.1, without anything to install."""
    with EmbeddedMqtt() as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """The Kafka that all tests share: leave it running and its settings alone.

    Make topics of your own in it: `topic` has a name. To stop, freeze or set up one, ask for
    `start_kafka`.
    """
    with Kafka() as broker:
        yield broker


@pytest.fixture
def start_kafka() -> Iterator[Callable[..., Kafka]]:
    """Starts a Kafka for this test alone, to be stopped, frozen and killed; it takes 3 seconds.

    Takes the arguments of `Kafka`, e.g. `start_kafka(acls=True)`.
    """
    with ExitStack() as running:

        def start(**options: object) -> Kafka:
            return running.enter_context(Kafka(**options))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def mockkafka() -> Iterator[MockKafka]:
    """A mock cluster of librdkafka for this test alone, without anything to install."""
    with MockKafka() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, driven by playwright: `browser.new_page()`. Its calls block."""
    with open_browser() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def debian_program() -> Callable[[str], str]:
    """Gives the path of a program that `tests/run install` installs: `debian_program("promtool")`.

    Fails the test if it is not there: a test that is skipped hides a gap.
    """
    return find_program


@pytest.fixture
def topic() -> str:
    """The name of a topic that no other test uses. It is not created yet."""
    return f"topic-{next(_numbers)}"


@pytest.fixture
def start_routerd() -> Iterator[Callable[..., Routerd]]:
    """Starts routerd on a table (TOML text) and returns when it is ready; killed at the end.

    Takes the arguments of `Routerd`. A test that fails shows what each of them logged.
    """
    with ExitStack() as running:

        def start(table: str, **options: object) -> Routerd:
            daemon = Routerd(table, **options)  # type: ignore[arg-type]
            return running.enter_context(daemon)

        yield start
