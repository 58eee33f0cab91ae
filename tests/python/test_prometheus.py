"""The files of ``docs/prometheus`` fit the agent's metrics, and Grafana's own model of a dashboard."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import livegui

FOLDER = Path(__file__).parents[2] / "docs" / "prometheus"

#: A folder with Grafana's software development kit.
REPORTS = os.environ.get("LIVEGUI_TEST_REPORTS", "")

#: Read a dashboard as Grafana's kit does, and print what it has understood.
UNDERSTOOD = """
import json, sys
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

plugins.register_default_plugins()
print(JSONEncoder().encode(Dashboard.from_json(json.load(sys.stdin))))
"""


def test_the_dashboard_and_the_alerts_query_metrics_that_an_agent_has(agent: livegui.Agent) -> None:
    assert agent.url is not None
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "pool")
    agent.degrade("a reason to be listed")
    request = urllib.request.Request(
        agent.url + "/metrics", headers={"Authorization": f"Bearer {agent.token}"}
    )
    deadline, there = time.monotonic() + 10, set[str]()
    # The agent has the pool's metric once it has looked at the pool.
    while "livegui_executor_queued" not in there and time.monotonic() < deadline:
        with urllib.request.urlopen(request) as answer:
            there = set(re.findall(r"^# TYPE (\w+)", answer.read().decode(), re.MULTILINE))
        time.sleep(0.05)
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += re.findall(r"expr: (.*)", (FOLDER / "alerts.yml").read_text())
    names = {name.removesuffix("_total") for query in queries for name in re.findall(r"livegui_\w+", query)}
    assert names
    assert names <= there


PROMTOOL = shutil.which("promtool")
#: When the alerts fire: an app degraded for ten seconds, and an agent that has not answered for thirty.
RULE_TESTS = """
rule_files: [alerts.yml]
evaluation_interval: 5s
tests:
  - interval: 5s
    input_series:
      - series: 'livegui_status{job="livegui", app="sloppy", pid="7", instance="127.0.0.1:1", status="degraded"}'
        values: '0 0 1x20'
      - series: 'livegui_status{job="livegui", app="fine", pid="8", instance="127.0.0.1:2", status="degraded"}'
        values: '0x20'
      - series: 'livegui_status{job="livegui", app="blinks", pid="9", instance="127.0.0.1:3", status="degraded"}'
        values: '0 1 0 1 0x20'
      - series: 'up{job="livegui", app="gone", pid="5", instance="127.0.0.1:4"}'
        values: '1 1 0x20'
      - series: 'up{job="another", app="other", pid="6", instance="127.0.0.1:5"}'
        values: '0x20'
    alert_rule_test:
      - {alertname: GuiDegraded, eval_time: 15s}
      - alertname: GuiDegraded
        eval_time: 25s
        exp_alerts:
          - exp_labels:
              {severity: page, job: livegui, app: sloppy, pid: "7", instance: "127.0.0.1:1", status: degraded}
            exp_annotations:
              summary: "sloppy (pid 7) is degraded"
              description: "livegui_reason says why; livegui health on 127.0.0.1:1 shows it whole."
      - {alertname: GuiAgentDown, eval_time: 35s}
      - alertname: GuiAgentDown
        eval_time: 45s
        exp_alerts:
          - exp_labels: {severity: page, job: livegui, app: gone, pid: "5", instance: "127.0.0.1:4"}
            exp_annotations:
              summary: "the agent of gone (pid 5) does not answer"
"""


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian: prometheus)")
def test_promtool_accepts_the_alert_rules_and_they_fire_when_they_should(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    (tmp_path / "rules_test.yml").write_text(RULE_TESTS)
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run(
            [str(PROMTOOL), *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not REPORTS, reason="needs Grafana's kit: python3 dev.py test installs it")
def test_grafana_understands_all_of_the_dashboard() -> None:
    text = (FOLDER / "dashboard.json").read_text()
    done = subprocess.run(
        [sys.executable, "-c", UNDERSTOOD],
        input=text,
        env=os.environ | {"PYTHONPATH": REPORTS},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(lost(json.loads(text), json.loads(done.stdout))) == []


def lost(written: Any, understood: Any, place: str = "") -> Any:
    """The places of what was written and not understood, or understood as something else."""
    if isinstance(written, dict) and isinstance(understood, dict):
        for name, value in written.items():
            yield from lost(value, understood.get(name), f"{place}/{name}")
    elif isinstance(written, list) and isinstance(understood, list) and len(written) == len(understood):
        for at, (value, other) in enumerate(zip(written, understood, strict=True)):
            yield from lost(value, other, f"{place}/{at}")
    elif written != understood:
        yield place
