"""The rows and the targets as Markdown, to be read on a terminal and pasted into README.md."""

from collections.abc import Iterable, Sequence

from tests.bench.figures import Row, Spread
from tests.bench.targets import Rows, Target

_HEAD = (
    "scenario",
    "subject",
    "per second",
    "CPU µs each",
    "broker's",
    "p50 ms",
    "p99 ms",
    "MB (peak)",
    "complete",
)


def rows_as_text(rows: Iterable[Row]) -> str:
    """One line for each row: medians, with the least and the most of its runs in brackets."""
    return _table(_HEAD, [_cells(row) for row in rows])


def targets_as_text(targets: Iterable[Target], rows: Iterable[Row]) -> str:
    """One line for each target that this run has measured something for."""
    known = Rows(rows)
    verdicts = [(target.text, *target.verdict(known)) for target in targets]
    measured = [verdict for verdict in verdicts if verdict[-1] != "-"]
    return _table(("target", "came to", "met"), measured)


def _cells(row: Row) -> list[str]:
    resident = row.spread(lambda run: run.resident_mb)
    peak = row.spread(lambda run: run.peak_mb)
    memory = f"{resident.median:.0f} ({peak.high:.0f})" if resident and peak else ""
    return [
        row.scenario,
        row.subject,
        _spread(row.spread(lambda run: run.rate), "{:,.0f}"),
        _spread(row.spread(lambda run: run.cpu_us), "{:.1f}"),
        _spread(row.spread(lambda run: run.broker_us), "{:.1f}"),
        _spread(row.spread(lambda run: run.p50_ms), "{:.2f}"),
        _spread(row.spread(lambda run: run.p99_ms), "{:.2f}"),
        memory,
        _complete(row),
    ]


def _complete(row: Row) -> str:
    told = f"{len(row.complete)}/{len(row.runs)}"
    short = [run for run in row.runs if not run.trouble and not run.is_complete]
    if short:
        told += f", {short[-1].arrived:,} of {short[-1].expected:,}"
    return f"{told}, {row.trouble}" if row.trouble else told


def _spread(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return ""
    median, low, high = (unit.format(value) for value in (spread.median, spread.low, spread.high))
    return median if low == high else f"{median} ({low}-{high})"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    ruler = ["-" * width for width in widths]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in (head, ruler, *lines)
    )
