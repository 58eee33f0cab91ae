"""The scripts beside the tests still run; what they measure is theirs to judge."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHAOS = Path(__file__).parents[1] / "chaos"
sys.path.insert(0, str(CHAOS))

import chaos  # noqa: E402 -- found only now
import matrix  # noqa: E402 -- found only now
import soak  # noqa: E402 -- found only now
import unchanged_apps  # noqa: E402 -- found only now
from apps_of_others import APPS as OTHERS  # noqa: E402 -- found only now


@pytest.mark.skipif(os.name != "posix", reason="SIGCHLD and waitpid")
def test_exit_to_verdict_runs(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    done = subprocess.run(
        [sys.executable, CHAOS / "exit_to_verdict.py", "2"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    measured = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert measured == ["SIGCHLD default", "SIGCHLD ignored", "SIGCHLD reaped elsewhere"], done.stderr
    assert "Traceback" not in done.stderr


CRASH = next(case for case in matrix.CASES if case.name == "IM_ASSERT")
NOTHING = next(case for case in matrix.CASES if case.name == "no fault")
GOOD = {
    "test_before": ("passed", ""),
    "test_culprit": ("failed", "GuiDegraded: main_loop_crashed: RuntimeError: IM_ASSERT"),
    "test_victim": ("error", "did not run: test_culprit left the app degraded"),
    "test_next": ("passed", ""),
}


def kinds(case: matrix.Case, setting: str, run: chaos.Run) -> list[str]:
    return [what.partition(":")[0] for what in chaos.judge(case, setting, run)]


def crash(**changed: Any) -> chaos.Run:
    seen: dict[str, Any] = {"exit_status": 1, "generations": {"test_next": 2}, "looked": 2} | changed
    return chaos.Run(**seen | {"tests": GOOD | changed.get("tests", {})})


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (crash(), []),
        (crash(tests={"test_culprit": ("passed", "")}), ["missed"]),
        (crash(tests={"test_culprit": ("failed", "assert 1 == 2")}), ["wrong"]),
        (crash(tests={"test_victim": ("error", "test_before did it")}), ["wrong"]),
        (crash(tests={"test_next": ("failed", "")}), ["false"]),
        (crash(generations={"test_next": 1}), ["wrong"]),
        (crash(exit_status=0), ["wrong"]),
        (crash(exit_status=None), ["wrong"]),
        (crash(left=["process 1: sleep"]), ["left"]),
        (crash(looked=0), ["left"]),
    ],
)
def test_chaos_finds_what_is_not_as_the_matrix_says(run: chaos.Run, expected: list[str]) -> None:
    assert kinds(CRASH, "B", run) == expected


@pytest.mark.parametrize("setting", ["A", "B", "D", "xdist", "spares", "injected"])
def test_chaos_wants_a_fresh_process_for_the_next_file_in_every_setting_that_allows_for_one(
    setting: str,
) -> None:
    victim = {"test_victim": ("passed", "")} if setting == "D" else {}
    assert kinds(CRASH, setting, crash(tests=victim)) == []
    assert kinds(CRASH, setting, crash(tests=victim, generations={"test_next": 1})) == ["wrong"]


def test_chaos_calls_a_failure_without_a_fault_false() -> None:
    run = chaos.Run(0, dict.fromkeys(GOOD, ("passed", "")), looked=1)
    assert kinds(NOTHING, "B", run) == []
    run.tests["test_next"] = ("failed", "")
    assert kinds(NOTHING, "B", run) == ["false"]


def test_chaos_wants_to_know_what_a_worker_of_xdist_leaves() -> None:
    assert kinds(CRASH, "xdist", crash(looked=1)) == ["left"]


@pytest.mark.parametrize(
    ("exit_status", "phases", "expected"),
    [
        (-9, ["start", "app", "set-up", "tear-down", "app", "respawn"], []),
        (-9, ["start", "app", "set-up", "tear-down", "app"], ["wrong"]),
        (-9, ["start", "app", "set-up", "tear-down", "app", "respawn", "app"], ["wrong"]),
        (-9, [], ["wrong"]),
        (1, ["start", "app", "set-up", "tear-down", "app", "respawn"], ["wrong"]),
    ],
)
def test_chaos_believes_a_kill_only_in_its_phase(
    exit_status: int, phases: list[str], expected: list[str]
) -> None:
    killed = next(case for case in matrix.CASES if case.killed_in == "respawn")
    assert kinds(killed, "B", chaos.Run(exit_status, phases=phases)) == expected


def test_the_matrix_names_each_case_once_and_only_settings_that_there_are() -> None:
    names = [case.name for case in matrix.CASES]
    assert len(names) == len(set(names))
    assert {setting for case in matrix.CASES for setting in case.settings} == set(matrix.SETTINGS)


def test_the_documented_table_of_chaos_has_the_settings_of_the_matrix() -> None:
    text = (CHAOS.parents[1] / "docs" / "reliability.md").read_text()
    table = (
        text.partition("| fault | settings | expected result |\n")[2].partition("\n\n")[0].splitlines()[1:]
    )
    documented = [row.split(" | ")[1] for row in table]
    assert documented == [", ".join(case.settings) for case in matrix.CASES]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_case_of_chaos_runs_on_the_real_app() -> None:
    run = chaos.run_case(CRASH, "B")
    assert chaos.judge(CRASH, "B", run) == [], run.output
    # The same, judged as if nothing had been to happen.
    assert "false" in kinds(NOTHING, "B", run)


def test_the_soak_tells_growth_from_noise() -> None:
    noise = [0.3, -0.2, 0.1, -0.4, 0.2, 0.0, -0.1] * 40
    at = [number / len(noise) for number in range(len(noise))]
    flat = soak.fit(at, noise)
    assert not flat.grows(0.0)
    assert abs(flat.per_unit) < 3 * flat.error
    grown = soak.fit(at, [5 * x + y for x, y in zip(at, noise, strict=True)])
    assert abs(grown.per_unit - 5) < 3 * grown.error
    assert grown.grows(4.0)


def test_the_soak_of_pytest_finds_ten_kib_a_crash(capsys: pytest.CaptureFixture[str]) -> None:
    """A hundred crashes in a thousand tests."""

    def grown(kib_a_crash: float) -> list[str]:
        kept = [kib_a_crash / 1024 * (number // 10) for number in range(1000)]
        samples = [
            {"memory": 30 + kept[number], "threads": 2.0, "descriptors": 9.0} for number in range(1000)
        ]
        at = [number / 1000 for number in range(1000)]
        return soak.report("pytest", at, samples, "a thousand tests", bars=soak.TEST_BARS)

    assert grown(5) == []
    assert grown(11) == ["pytest, memory"]
    assert "GROWS" in capsys.readouterr().out


OPTIONAL = next(app for app in OTHERS if app.optional)
NEEDED = next(app for app in OTHERS if not app.optional)


@pytest.mark.parametrize(
    ("row", "left_out", "fails_for_bars", "fails"),
    [
        ({}, [], True, False),
        ({"wrong": ["test_idle: GuiDegraded"]}, [], False, True),
        ({"missed": ["ok 60 ms later"]}, [], True, True),
        ({"missed": ["ok 60 ms later"]}, [], False, False),
        ({}, [NEEDED], False, True),
        ({}, [OPTIONAL], True, False),
    ],
)
def test_unchanged_apps_fail_for_what_is_wrong_missed_or_missing(
    row: dict[str, Any], left_out: list[Any], fails_for_bars: bool, fails: bool
) -> None:
    rows = [unchanged_apps.Row("an app", "1.0", **row)]
    assert unchanged_apps.verdict(rows, left_out, fails_for_bars=fails_for_bars) is fails


def test_the_table_of_unchanged_apps_shows_the_figures_and_what_is_wrong() -> None:
    row = unchanged_apps.Row(
        "an app",
        "1.0",
        plain_ms=100.4,
        ok_ms=121.0,
        cpu_later_ms=9.6,
        failed_ms=[1.0, 30.0, 2.0],
        told="main_loop_crashed",
        quit="announced",
        idle_s=60,
        load=1.5,
        missed=["ok 60 ms later"],
    )
    line = unchanged_apps.markdown([row]).splitlines()[-1]
    assert (
        line
        == "| an app | 1.0 | 100 | 21 | 10 | 2 | `main_loop_crashed` | announced | 60 | 1.5 | ok 60 ms later |"
    )
