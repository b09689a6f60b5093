"""Expressions of PromQL against what routerd really exposes: names, labels, and their values.

No parser: promtool and Prometheus judge the grammar. This finds the names in a text that is good.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import trio
from prometheus_client.parser import text_string_to_metric_families

from routerd.metrics import expose, open_registry
from tests.test_metrics import a_route, a_status

TARGET_LABELS = {"job", "instance"}
"""What Prometheus itself adds to each sample."""
BY_PROMETHEUS = {"up"}
FIXED_LABELS = {"state", "outcome", "reason", "le"}
"""Labels whose values are the code's, not the table's."""

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_RANGE = re.compile(r"\[[^\]]*\]")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")')
_LABELS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_NAME = re.compile(r"(?<![\w.$])[a-zA-Z_:][\w:]*(?!\s*\()\b(?!\s*\()")
_WORDS = {"and", "or", "unless", "bool", "offset", "by", "on", "without", "ignoring"}


@dataclass
class Exposed:
    """Each sample's name -> label -> its values."""

    samples: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    def complaints(self, expression: str) -> list[str]:
        """What the expression asks for that is not exposed; empty if all of it is."""
        return [*self._unknown_names(expression), *self._unknown_labels(expression)]

    def _unknown_names(self, expression: str) -> Iterator[str]:
        for name in metrics_of(expression):
            if name not in self.samples and name not in BY_PROMETHEUS:
                yield f"no metric {name}"

    def _unknown_labels(self, expression: str) -> Iterator[str]:
        for name, label, operator, wanted in matchers_of(expression):
            found = self.samples.get(name, {})
            if label not in found.keys() | TARGET_LABELS:
                yield f"{name} has no label {label}"
            elif label in FIXED_LABELS and operator in {"=", "=~"}:
                for value in sorted(set(wanted.split("|")) - found[label]):
                    yield f"{name} is never {label}={value}"
        known = set(TARGET_LABELS)
        for name in metrics_of(expression):
            known |= self.samples.get(name, {}).keys()
        for label in sorted(grouping_of(expression) - known):
            yield f"nothing here has the label {label}"


def expose_everything() -> Exposed:
    """What is in `full_exposition`."""
    found = Exposed()
    for family in text_string_to_metric_families(trio.run(full_exposition)):
        for sample in family.samples:
            labels = found.samples.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


async def full_exposition() -> str:
    """The text of a daemon that has one of everything."""
    return (await expose(open_registry(a_status(a_route())), "")).body.decode()


def metrics_of(expression: str) -> set[str]:
    """The names of all metrics in it."""
    bare = _RANGE.sub("", _LABELS.sub("", _TEXT.sub('""', expression)))
    bare = _SELECTOR.sub(lambda match: match[1] or "", bare)
    return {name for name in _NAME.findall(bare) if name not in _WORDS}


def matchers_of(expression: str) -> Iterator[tuple[str, str, str, str]]:
    """Metric, label, operator and value of each matcher in braces."""
    for name, inside in _SELECTOR.findall(expression):
        for label, operator, value in _MATCHER.findall(inside):
            yield name, label, operator, value.strip('"')


def grouping_of(expression: str) -> set[str]:
    """The labels that it groups and joins by."""
    lists = _LABELS.findall(_TEXT.sub('""', expression))
    return {label.strip() for one in lists for label in one.split(",") if label.strip()}
