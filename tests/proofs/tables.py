"""Routing tables for the proofs."""

HEAD = """
[mqtt]
url = "{url}"
client_id = "proof"
version = "{version}"
{mqtt}

[kafka]
bootstrap_servers = "{kafka}"

[ws]
listen = "127.0.0.1:0"
limits = {{ connections_per_address = 100_000, handshake_rate = 100_000 }}

[admin]
listen = "127.0.0.1:0"

[daemon]
drain_timeout = "20s"
"""

ROUTE = """
[[route]]
name = "{name}"
from = "mqtt:{filter}"
to = {to}
key = "{{device}}"
{more}
"""


def head(url: str, kafka: str, *, version: str = "5", mqtt: str = "") -> str:
    """The connections; `mqtt` has further lines of `[mqtt]`."""
    return HEAD.format(url=url, kafka=kafka, version=version, mqtt=mqtt)


def telemetry(
    to: str,
    *,
    name: str = "telemetry",
    filter_: str = "sensors/{device}/temperature",
    more: str = "",
) -> str:
    """A route from the devices; `to` as TOML, `more` has further lines."""
    return ROUTE.format(name=name, filter=filter_, to=to, more=more)
