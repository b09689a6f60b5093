"""etc/grafana/routerd.json: a dashboard that can be imported as it is, of metrics that exist."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.promql import expose_everything, metrics_of

FILE = Path(__file__).parent.parent / "etc" / "grafana" / "routerd.json"
COLUMNS = 24
UNITS = {"short", "mps", "cps", "s", "bytes", "percentunit"}
"""Grafana's names: messages and counts a second, seconds, 0.5 for 50 %."""
SCHEMA_OF_GRAFANA_10 = 37
BUILT_IN = {"__rate_interval"}
NOT_SHOWN = re.compile(
    r"routerd_(event_loop_(tasks|runnable_tasks|queued_callbacks)|build_info|sink_required"
    r"|reload_last_success_timestamp_seconds)$"
    r"|process_(virtual_memory_bytes|max_fds|start_time_seconds)$"
)
"""What is there to be asked for, and not worth a panel."""

Panel = dict[str, Any]

DASHBOARD: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
PANELS: list[Panel] = DASHBOARD["panels"]
GRAPHS = [panel for panel in PANELS if panel["type"] != "row"]


def titled(panel: Panel) -> str:
    return str(panel["title"])


def expressions(panel: Panel) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def variables() -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in DASHBOARD["templating"]["list"]}


# --- its form


def test_it_can_be_imported_as_it_is() -> None:
    """Grafana asks for nothing when there is no `__inputs`, and keeps links to the uid."""
    assert "__inputs" not in DASHBOARD
    assert (DASHBOARD["id"], DASHBOARD["uid"], DASHBOARD["title"]) == (None, "routerd", "routerd")
    assert DASHBOARD["schemaVersion"] >= SCHEMA_OF_GRAFANA_10
    assert DASHBOARD["tags"] == ["routerd"]


def test_its_rows_are_in_order() -> None:
    rows = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    assert rows == ["Overview", "Routes: $route", "WebSocket", "Connections"]


def test_every_panel_has_a_number_and_a_title_of_its_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


def test_no_panel_lies_on_another_or_outside() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    for one, other in combinations(places, 2):
        assert not overlap(one, other), (one, other)
    for place in places:
        assert 0 <= place["x"] < place["x"] + place["w"] <= COLUMNS
        assert place["y"] >= 0
        assert place["h"] > 0


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    is_below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not is_beside and not is_below


def test_panels_that_share_a_cell_overlap() -> None:
    place = {"x": 0, "y": 0, "w": 8, "h": 8}
    assert overlap(place, place | {"x": 7, "y": 7})
    assert not overlap(place, place | {"x": 8})
    assert not overlap(place, place | {"y": 8})


@pytest.mark.parametrize("panel", GRAPHS, ids=titled)
def test_a_panel_is_whole(panel: Panel) -> None:
    assert panel["type"] in {"stat", "timeseries", "state-timeline"}
    assert panel["description"].endswith(".")
    assert len(panel["title"]) <= 40
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    for override in panel["fieldConfig"]["overrides"]:
        assert {each["value"] for each in override["properties"]} & UNITS
    letters = [target["refId"] for target in panel["targets"]]
    assert letters == list("ABCD"[: len(letters)])
    for asked in (panel, *panel["targets"]):
        assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("panel", GRAPHS, ids=titled)
def test_a_line_is_named_by_labels_that_it_has(panel: Panel) -> None:
    exposed = expose_everything()
    for target in panel["targets"]:
        has = {"instance"}
        for metric in metrics_of(target["expr"]):
            has |= exposed.samples[metric].keys()
        if grouped := re.search(r"(?:sum|max) by \(([^)]*)\)", target["expr"]):
            has = {label.strip() for label in grouped[1].split(",")}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= has


# --- what it asks for


@pytest.mark.parametrize("panel", GRAPHS, ids=titled)
def test_a_panel_asks_only_for_what_routerd_exposes(panel: Panel) -> None:
    exposed = expose_everything()
    for expression in expressions(panel):
        assert metrics_of(expression)
        assert exposed.complaints(expression) == []


@pytest.mark.parametrize("panel", GRAPHS, ids=titled)
def test_a_panel_heeds_the_variables(panel: Panel) -> None:
    """All of a page is about the instances that were chosen, and there is no other variable."""
    for expression in expressions(panel):
        assert expression.count('instance=~"$instance"') == expression.count("{")
        assert set(re.findall(r"\$(\w+)", expression)) <= variables().keys() | BUILT_IN


def test_a_route_can_be_chosen() -> None:
    start = next(p["gridPos"]["y"] for p in PANELS if p["title"] == "Routes: $route")
    end = next(p["gridPos"]["y"] for p in PANELS if p["title"] == "WebSocket")
    inside = [panel for panel in GRAPHS if start < panel["gridPos"]["y"] < end]
    assert len(inside) >= 8
    for expression in (text for panel in inside for text in expressions(panel)):
        assert expression.count('route=~"$route"') == expression.count("{")


def test_the_variables_come_from_metrics_that_exist() -> None:
    exposed = expose_everything()
    assert list(variables()) == ["datasource", "instance", "route"]
    assert variables()["datasource"]["query"] == "prometheus"
    for name in ("instance", "route"):
        query = variables()[name]["query"]["query"]
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
        assert found is not None
        assert found[2] == name
        assert exposed.complaints(found[1]) == []
        assert variables()[name]["definition"] == query


def test_every_metric_is_shown_but_for_a_few() -> None:
    asked = {
        name.removesuffix("_bucket")
        for panel in GRAPHS
        for text in expressions(panel)
        for name in metrics_of(text)
    }
    names = {re.sub(r"_(bucket|count|sum)$", "", name) for name in expose_everything().samples}
    ours = {name for name in names if name.startswith(("routerd_", "process_"))}
    assert {name for name in ours - asked if not NOT_SHOWN.match(name)} == set()
    assert {name for name in asked if NOT_SHOWN.match(name)} == set()


def test_every_state_of_a_route_has_a_colour() -> None:
    exposed = expose_everything()
    [panel] = [each for each in GRAPHS if each["title"] == "State"]
    [mapping] = panel["fieldConfig"]["defaults"]["mappings"]
    pairs = dict(re.findall(r'state="(\w+)"\}(?: \* (\d))?', panel["targets"][0]["expr"]))
    assert pairs.keys() == exposed.samples["routerd_route_state"]["state"]
    texts = {number: shown["text"] for number, shown in mapping["options"].items()}
    assert texts == {number or "1": state for state, number in pairs.items()}


def test_promtool_reads_every_expression(
    debian_program: Callable[[str], str], tmp_path: Path
) -> None:
    rules = [{"record": "x", "expr": text, "labels": {"n": str(n)}} for n, text in everything()]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [debian_program("promtool"), "check", "rules", path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def everything() -> Iterator[tuple[int, str]]:
    texts = [text for panel in GRAPHS for text in expressions(panel)]
    for number, text in enumerate(texts):
        yield number, text.replace("$__rate_interval", "1m")
