"""Kafka's rules for the names of topics (`org.apache.kafka.common.internals.Topic`)."""

import re

from routerd.checks import Endpoint
from routerd.findings import quoted
from routerd.template import Template

LONGEST = 249
"""Characters; Kafka makes a folder of that name and a suffix."""
_ILLEGAL = re.compile(r"[^A-Za-z0-9._-]")
_RESERVED = {".", ".."}


def refusal(topic: str) -> str:
    """Why Kafka has no topic of that name; empty if it may have one."""
    if not topic:
        return "the topic is empty"
    if len(topic) > LONGEST:
        return f"a topic has at most {LONGEST} characters, this one has {len(topic)}"
    if topic in _RESERVED:
        return f"a topic can't be called {quoted(topic)}"
    return _illegal(topic)


def parse_topic(endpoint: Endpoint) -> Template | None:
    """What `kafka:` is followed by, as far as it can be known to be legal."""
    if not endpoint.rest:
        endpoint.problem(f"{quoted(endpoint.text)} names no topic; write kafka:TOPIC")
        return None
    template = endpoint.template(endpoint.rest)
    if template is None:
        return None
    fixed = "".join(part for part in template.parts if isinstance(part, str))
    reason = refusal(fixed) if template.literal is not None else _refusal_of_parts(fixed)
    if reason:
        endpoint.problem(f"{quoted(endpoint.text)}: {reason}; rename it")
        return None
    return template


def _refusal_of_parts(fixed: str) -> str:
    if len(fixed) > LONGEST:
        return f"a topic has at most {LONGEST} characters, this one has more"
    return _illegal(fixed)


def _illegal(topic: str) -> str:
    found = _ILLEGAL.search(topic)
    if found is None:
        return ""
    shown = {" ": "a space"}.get(found[0], quoted(found[0]))
    return f"a topic is letters, digits, `.`, `_` and `-`; it has {shown}"
