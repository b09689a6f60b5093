"""etc/prometheus/: a real Prometheus takes it, the rules say what they should, and are tested."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import trio
import yaml

from routerd.errors import DropReason
from tests.promql import (
    TARGET_LABELS,
    expose_everything,
    full_exposition,
    matchers_of,
    metrics_of,
)
from tests.rig.daemon import Routerd
from tests.rig.mockkafka import MockKafka
from tests.rig.prometheus import Prometheus
from tests.rig.waiting import wait_until

ROOT = Path(__file__).parent.parent
ETC = ROOT / "etc" / "prometheus"
CASES = ROOT / "tests" / "prometheus"
SILENT_REASONS = {"filtered", "shutdown", "session_lost"}
"""Drops that are meant; alerts.yml says why of each."""

TABLE = """
[kafka]
bootstrap_servers = "{bootstrap}"
[ws]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[[route]]
name = "chat"
from = "ws:/chat/{{room}}"
to = ["group:/chat/{{room}}", "group:/lobby", "kafka:chat"]
"""

Rule = dict[str, Any]
DebianProgram = Callable[[str], str]


def rules_of(text: str) -> list[Rule]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


RULES = rules_of((ETC / "alerts.yml").read_text("utf-8"))


def named(rule: Rule) -> str:
    return str(rule["alert"])


def run(*command: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=120, check=False
    )


# --- the metrics, and a Prometheus that reads them


def test_promtool_has_nothing_to_say_of_the_metrics(
    mockkafka: MockKafka,
    start_routerd: Callable[..., Routerd],
    debian_program: DebianProgram,
) -> None:
    routerd = start_routerd(TABLE.format(bootstrap=mockkafka.bootstrap))
    done = run(debian_program("promtool"), "check", "metrics", given=routerd.get("/metrics").text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_promtool_has_nothing_to_say_of_all_that_there_can_be(
    debian_program: DebianProgram,
) -> None:
    text = trio.run(full_exposition)
    done = run(debian_program("promtool"), "check", "metrics", given=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_prometheus_scrapes_routerd_and_loads_the_rules(
    mockkafka: MockKafka,
    start_routerd: Callable[..., Routerd],
    debian_program: DebianProgram,
    tmp_path: Path,
) -> None:
    routerd = start_routerd(TABLE.format(bootstrap=mockkafka.bootstrap))
    config = config_for(routerd, tmp_path)
    with Prometheus(debian_program("prometheus"), config) as prometheus:
        wait_until(lambda: prometheus.query("up == 1") != [], "routerd is scraped", timeout=30)
        [target] = prometheus.ask("targets")["activeTargets"]
        assert (target["health"], target["labels"]["job"]) == ("up", "routerd")

        expected = {sample_name(line) for line in routerd.get("/metrics").text.splitlines()}
        held = {one["metric"]["__name__"] for one in prometheus.query('{job="routerd"}')}
        assert expected - {""} <= held
        assert {"route": "chat", "state": "running"}.items() <= the_one(prometheus).items()

        loaded = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        assert sorted(rule["name"] for rule in loaded) == sorted(map(named, RULES))
        assert {rule["health"] for rule in loaded} <= {"ok", "unknown"}
        for rule in RULES:
            prometheus.query(rule["expr"])  # raises where one side of a join has doubles

        host, port = routerd.admin_address
        routerd.stop()
        said = f"routerd at {host}:{port} does not answer"
        wait_until(lambda: said in summaries(prometheus), "it misses routerd", timeout=30)


def config_for(routerd: Routerd, folder: Path) -> Path:
    """The files as they are, but for the port, and in more of a hurry."""
    host, port = routerd.admin_address
    text = (ETC / "prometheus.yml").read_text("utf-8")
    assert (text.count('"127.0.0.1:9464"'), text.count(": 15s")) == (1, 2)
    text = text.replace('"127.0.0.1:9464"', f'"{host}:{port}"').replace(": 15s", ": 1s")
    (folder / "prometheus.yml").write_text(text)
    shutil.copy(ETC / "alerts.yml", folder)
    return folder / "prometheus.yml"


def sample_name(line: str) -> str:
    """Of a line of the exposition; empty for a comment."""
    return "" if line.startswith("#") else re.split(r"[{ ]", line, maxsplit=1)[0]


def the_one(prometheus: Prometheus) -> dict[str, str]:
    [found] = prometheus.query("routerd_route_state == 1")
    labels: dict[str, str] = found["metric"]
    return labels


def summaries(prometheus: Prometheus) -> list[str]:
    """Of all alerts that wait for their `for` or fire."""
    return [alert["annotations"]["summary"] for alert in prometheus.ask("alerts")["alerts"]]


def test_promtool_takes_the_configuration(debian_program: DebianProgram) -> None:
    done = run(debian_program("promtool"), "check", "config", ETC / "prometheus.yml")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{len(RULES)} rules found" in done.stdout


# --- the rules


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_a_rule_says_how_bad_it_is_and_what_to_do(rule: Rule) -> None:
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description"}
    assert len(rule["annotations"]["summary"]) <= 100


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_a_rule_asks_only_for_what_routerd_exposes(rule: Rule) -> None:
    exposed = expose_everything()
    assert metrics_of(rule["expr"])
    assert exposed.complaints(rule["expr"]) == []
    for inside in re.findall(r'printf "([^"]*)"', rule["annotations"]["description"]):
        assert exposed.complaints(inside.replace("'%s'", '""')) == []


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_a_rule_names_what_it_is_about(rule: Rule) -> None:
    """Each label of its texts is one that its metrics have, and a route's is never left out."""
    exposed = expose_everything()
    has = set(TARGET_LABELS)
    for metric in metrics_of(rule["expr"]):
        has |= exposed.samples.get(metric, {}).keys()
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert set(re.findall(r"\$labels\.(\w+)", summary + description)) <= has
    for label in has & {"route", "connection", "sink"}:
        assert f"$labels.{label}" in summary


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("routerd_messages_recieved_total > 0", "no metric routerd_messages_recieved_total"),
        ('routerd_route_state{stat="failed"} == 1', "routerd_route_state has no label stat"),
        ('routerd_route_state{state="faild"} == 1', "routerd_route_state is never state=faild"),
        (
            'rate(routerd_messages_dropped_total{reason=~"filtered|lost"}[5m])',
            "routerd_messages_dropped_total is never reason=lost",
        ),
        ("sum by (path) (routerd_inflight_messages)", "nothing here has the label path"),
    ],
)
def test_a_slip_in_an_expression_is_found(expression: str, complaint: str) -> None:
    assert expose_everything().complaints(expression) == [complaint]


def test_each_reason_of_a_drop_is_one_alerts_or_none_on_purpose() -> None:
    told = [
        reason
        for rule in RULES
        for name, label, _, value in matchers_of(rule["expr"])
        if (name, label) == ("routerd_messages_dropped_total", "reason")
        for reason in value.split("|")
    ]
    assert sorted([*told, *SILENT_REASONS]) == sorted(get_args(DropReason))


# --- the tests of the rules


def test_the_rules_pass_their_tests(debian_program: DebianProgram) -> None:
    done = run(debian_program("promtool"), "test", "rules", *sorted(CASES.glob("*.yml")))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count("SUCCESS") == len([*CASES.iterdir()])


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_each_alert_is_fired_by_a_test_and_kept_silent_by_another(rule: Rule) -> None:
    mine = [each for test in cases_of(rule) for each in test.get("alert_rule_test", [])]
    assert [each for each in mine if each.get("exp_alerts")]
    assert [each for each in mine if not each.get("exp_alerts")]


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_a_broken_rule_fails_its_tests(
    rule: Rule, debian_program: DebianProgram, tmp_path: Path
) -> None:
    promtool = debian_program("promtool")
    write_yaml(
        tmp_path / "tests.yml",
        {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": cases_of(rule)},
    )
    passed = []
    for one in (rule, *broken(rule)):
        write_yaml(tmp_path / "rules.yml", {"groups": [{"name": "one", "rules": [one]}]})
        done = run(promtool, "test", "rules", tmp_path / "tests.yml")
        if done.returncode == 0:
            passed.append(one)
        else:  # because of what it expected at some time, not for a rule that can't be read
            assert "time: " in done.stdout + done.stderr
    assert passed == [rule]


def cases_of(rule: Rule) -> list[dict[str, Any]]:
    """Its own tests, and of each only what is said of it: so that it can be alone."""
    found = []
    for path in sorted(CASES.glob("*.yml")):
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            alerts = [
                each
                for each in test.get("alert_rule_test", [])
                if each["alertname"] == rule["alert"]
            ]
            expressions = [
                each
                for each in test.get("promql_expr_test", [])
                if f'"{rule["alert"]}"' in each["expr"] or "exp_samples" not in each
            ]
            if alerts or expressions:
                test |= {"alert_rule_test": alerts, "promql_expr_test": expressions}
                found.append(test)
    return found


def write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, width=1000, sort_keys=False))


def broken(rule: Rule) -> Iterator[Rule]:
    """The rule with one thing in it made wrong, in every way."""
    expression = rule["expr"]
    yield {**rule, "expr": f"({expression}) and vector(1) == 2"}
    yield {**rule, "labels": {"severity": "info"}}
    yield {**rule, "annotations": {**rule["annotations"], "summary": "something is wrong"}}
    seconds = seconds_of(rule.get("for", "0s"))
    yield {**rule, "for": f"{seconds + 15}s"}
    if seconds:
        yield {**rule, "for": f"{seconds - 15}s"}
    for clause in re.finditer(r"\s(?:and|unless) on .*?(?=\s(?:and|unless) on |$)", expression):
        yield {**rule, "expr": expression.replace(clause[0], "")}
    for number in re.finditer(r"(?<=[><=] )[\d.]+(?= \*|$| unless| and)", expression):
        start, end = number.span()
        for value in (float(number[0]) * 2 + 1.5, float(number[0]) / 2 - 0.5):
            yield {**rule, "expr": f"{expression[:start]}{value}{expression[end:]}"}


def seconds_of(duration: str) -> int:
    return int(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]
