"""The pieces that metric families are made of."""

from typing import Literal

from prometheus_client import Metric
from prometheus_client.samples import Sample

from routerd.status import Histogram

Kind = Literal["counter", "gauge", "histogram"]


def add(family: Metric, value: float, **labels: str) -> None:
    """One sample of `family`."""
    # Not Metric.add_sample, whose checks cost more than the sample.
    suffix = "_total" if family.type == "counter" else ""
    family.samples.append(Sample(family.name + suffix, labels, value))


def add_histogram(family: Metric, histogram: Histogram, **labels: str) -> None:
    """The samples of one histogram."""
    bounds = [*(str(bound) for bound in histogram.bounds), "+Inf"]
    count = 0
    for bound, more in zip(bounds, histogram.counts, strict=True):
        count += more
        family.samples.append(Sample(f"{family.name}_bucket", {**labels, "le": bound}, count))
    family.samples.append(Sample(f"{family.name}_count", labels, count))
    family.samples.append(Sample(f"{family.name}_sum", labels, histogram.total))
