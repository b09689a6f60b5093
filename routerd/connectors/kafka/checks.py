"""What may stand in `[kafka]` and behind `kafka:`."""

from collections.abc import Mapping, Sequence

from routerd.checks import Endpoint, SinkFacts, SourceFacts, Weakness
from routerd.connectors.kafka import topics
from routerd.connectors.kafka.options import read_options
from routerd.connectors.kafka.settings import KafkaSettings, KafkaSinkSpec
from routerd.findings import quoted
from routerd.section import Section, split_address

HINTS = {
    "broker": "write the brokers as `bootstrap_servers`",
    "brokers": "write the brokers as `bootstrap_servers`",
    "url": "write the brokers as `bootstrap_servers`",
    "host": "write the brokers as `bootstrap_servers`",
    "hosts": "write the brokers as `bootstrap_servers`",
    "servers": "write the brokers as `bootstrap_servers`",
    "topic": 'a topic stands in a route: to = "kafka:TOPIC"',
    "bootstrap.servers": "it is called `bootstrap_servers` here",
    "acks": "librdkafka's properties stand under [kafka.options]",
    "compression": "librdkafka's properties stand under [kafka.options]",
    "linger": "librdkafka's properties stand under [kafka.options]",
    "sasl": "librdkafka's properties stand under [kafka.options]",
    "security": "librdkafka's properties stand under [kafka.options]",
    "ssl": "librdkafka's properties stand under [kafka.options]",
    "username": 'librdkafka\'s properties stand under [kafka.options]: "sasl.username"',
    "password": 'librdkafka\'s properties stand under [kafka.options]: "sasl.password"',
}


class KafkaChecks:
    """The load-time half of the Kafka connector."""

    connector = "kafka"
    table = "kafka"
    keys = ("bootstrap_servers", "options")
    main_key = 'bootstrap_servers = "HOST:9092"'

    def connection(self, key: str, section: Section) -> KafkaSettings | None:
        """`bootstrap_servers` and `options`, with our defaults under them."""
        section.hints = HINTS
        servers = _servers(section)
        inner = section.section("options")
        if inner is not None:
            inner.label = f"[{key}.options]"
        options = read_options(inner)
        section.finish()
        if servers is None:
            return None
        return KafkaSettings(key, {"bootstrap.servers": servers, **options})

    def listens_on(self, settings: object) -> None:
        """Kafka is called, it doesn't call."""

    def source(
        self, endpoints: Sequence[Endpoint], *, settings: object | None, route: str
    ) -> SourceFacts | None:
        """Comes later."""
        for endpoint in endpoints:
            endpoint.problem(
                f"{quoted(endpoint.text)} as `from`: reading from Kafka comes with a later "
                "version; a route reads from mqtt: or ws:"
            )
        return None

    def sink(self, endpoint: Endpoint, *, settings: object | None) -> SinkFacts | None:
        """A topic, as a template."""
        required = endpoint.options.flag("required", default=True)
        endpoint.options.finish()
        topic = topics.parse_topic(endpoint)
        if topic is None:
            return None
        options = settings.options if isinstance(settings, KafkaSettings) else {}
        return SinkFacts(
            KafkaSinkSpec(topic, required=required),
            required=required,
            templates=(topic,),
            takes_records=True,
            takes_slashes=False,
            losses=_losses(endpoint, options),
            disorders=_disorders(endpoint, options),
        )


def _servers(section: Section) -> str | None:
    text = section.string("bootstrap_servers")
    if text is None:
        is_there = section.has_misspelt("bootstrap_servers", KafkaChecks.keys)
        if "bootstrap_servers" not in section and not is_there:
            section.problem(
                None,
                f"{section.label} has no `bootstrap_servers`; add "
                'bootstrap_servers = "HOST:9092,HOST:9092"',
            )
        return None
    servers = [server.strip() for server in text.split(",")]
    for server in servers:
        found = split_address(server)
        if found is None or found[1] == 0:
            is_open = isinstance(section.values["bootstrap_servers"], str)
            shown = quoted(server) if is_open and "@" not in text else "what it has"
            section.problem(
                "bootstrap_servers",
                f"`bootstrap_servers` of {section.label} must be HOST:PORT, several with commas "
                f"between them; {shown} is not",
            )
            return None
    return ",".join(servers)


def _losses(endpoint: Endpoint, options: Mapping[str, object]) -> tuple[Weakness, ...]:
    acks = str(options.get("acks", "all")).lower()
    if acks in {"all", "-1"}:
        return ()
    where = _where(endpoint, "acks")
    return (
        Weakness(
            f"acks = {acks}",
            f"`acks = {acks}` ({where}) lets Kafka lose what it confirmed; remove it",
        ),
    )


def _disorders(endpoint: Endpoint, options: Mapping[str, object]) -> tuple[Weakness, ...]:
    if str(options.get("enable.idempotence", True)).lower() in {"true", "t", "1"}:
        return ()
    if _losses(endpoint, options):
        return ()  # it steps back for `acks`, which is what to mend
    where = _where(endpoint, "enable.idempotence")
    return (
        Weakness(
            "enable.idempotence = false",
            f"`enable.idempotence = false` ({where}) lets "
            "a retry repeat records and change their order; remove it",
        ),
    )


def _where(endpoint: Endpoint, option: str) -> str:
    path = (*endpoint.connection.split("."), "options")
    # Without quotes TOML nests it; whichever of the two isn't there has the line of the header.
    nested = (*path, *option.split("."))
    line_of = endpoint.options.findings.line_of
    return f"line {max(line_of((*path, option)), line_of(nested))}"
