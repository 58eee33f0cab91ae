"""No test file gets an app whose main loop does not turn, or in which something was left open."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from plain_suites import HELPERS, PASSES, Suite

#: The app may do this, and the test that asked for it is over before anybody notices.
FREEZES = ["hang 8", "deadlock", "spin", "hold 8"]

#: What follows what was found, if the blamed test had passed.
PASSED = " (it had passed; blamed by inference)"

SETTINGS = {
    "file": "",
    "module": "live_gui_scope = module",
    "test": "live_gui_respawn = test",
    "spares": "live_gui_spares = 1\nlive_gui_command = {python} plain_app.py {hook_port}",
}


def record(pytester: pytest.Pytester) -> dict[str, Any]:
    (run,) = (pytester.path / ".livegui").glob("*/run.json")
    document: dict[str, Any] = json.loads(run.read_text())
    return document


def doing(what: str, then: str = "time.sleep(0.3)") -> str:
    """A file whose second test has the app do something, which the test does not notice."""
    return f"""
import time

def test_first(app):
    pass

def test_does(app):
    app.do({what!r})
    {then}
"""


#: The app has begun to do it.
TAKEN = "while (app.live_gui.generation_folder / 'state' / 'command').exists(): time.sleep(0.001)"


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("freeze", FREEZES)
def test_the_next_file_runs_on_a_process_that_turns(
    suite: Suite, pytester: pytest.Pytester, freeze: str, setting: str
) -> None:
    files = {"test_a.py": doing(freeze), "test_b.py": PASSES}
    result = suite(files, "--junitxml=report.xml", ini=SETTINGS[setting])
    result.assert_outcomes(passed=3)
    run = record(pytester)
    note = next(note for note in run["notes"] if note["file"] == "test_b.py")
    assert note["because"].startswith("test_a.py::test_does left the main loop standing")
    assert note["because"].endswith(PASSED)
    first = run["generations"][0]
    assert first["state"] == "degraded"
    assert first["why"].startswith("left the main loop standing")
    assert first["why"].endswith(PASSED)
    assert first["culprit"] == {"test": "test_a.py::test_does", "inferred": True}
    result.stdout.fnmatch_lines(
        [
            "test_b.py  fresh process (generation *): test_a.py::test_does left the main loop standing*"
            + PASSED
        ]
    )
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "report.xml").iter("testcase")}
    properties = {p.get("name"): p.get("value") for p in cases["test_does"].iter("property")}
    assert str(properties["live_gui_handover"]).startswith("left the main loop standing")
    assert str(properties["live_gui_handover"]).endswith(PASSED)


def test_of_two_workers_only_the_one_whose_app_froze_gets_a_fresh_one(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    files = {"test_a.py": doing("deadlock"), **{f"test_{name}.py": PASSES for name in "bcdefgh"}}
    result = suite(files, "-n2", "--dist=loadfile", "--junitxml=report.xml")
    result.assert_outcomes(passed=9)
    records = [json.loads(run.read_text()) for run in (pytester.path / ".livegui").glob("**/run.json")]
    notes = [note["because"] for run in records for note in run["notes"]]
    assert len(notes) == 1, notes
    assert notes[0].startswith("test_a.py::test_does left the main loop standing for ")
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "report.xml").iter("testcase")}
    assert "live_gui_handover" in {p.get("name") for p in cases["test_does"].iter("property")}


@pytest.mark.parametrize(
    ("then", "setting", "outcomes"),
    [
        ("time.sleep(0.3); assert app is None", "", {"passed": 2, "failed": 1}),
        ("time.sleep(0.3)", "live_gui_handover = fail", {"passed": 3, "errors": 1}),
    ],
    ids=["failed_by_itself", "failed_for_it"],
)
def test_a_test_that_failed_is_not_said_to_have_passed(
    suite: Suite, pytester: pytest.Pytester, then: str, setting: str, outcomes: dict[str, int]
) -> None:
    result = suite({"test_a.py": doing("deadlock", then), "test_b.py": PASSES}, ini=setting)
    result.assert_outcomes(**outcomes)
    (note,) = record(pytester)["notes"]
    assert note["because"].startswith("test_a.py::test_does left the main loop standing for ")
    assert note["because"].endswith(" (blamed by inference)")


def test_the_test_that_froze_the_app_is_blamed_though_others_followed_it(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    follows = "\ndef test_does_not_notice(app):\n    pass\n"
    suite({"test_a.py": doing("deadlock") + follows, "test_b.py": PASSES}).assert_outcomes(passed=4)
    (note,) = record(pytester)["notes"]
    assert note["because"].startswith("test_a.py::test_does left the main loop standing for ")


def test_the_time_that_it_takes_to_see_where_the_app_stands_moves_no_blame(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    taken = "while (app.live_gui.generation_folder / 'state' / 'command').exists(): time.sleep(0.001)"
    freezes = doing("deadlock", f"{taken}\n    time.sleep(0.06)")
    follows = "\ndef test_does_not_notice(app):\n    pass\n"
    suite({"test_a.py": freezes + follows, "test_b.py": PASSES}).assert_outcomes(passed=4)
    (note,) = record(pytester)["notes"]
    assert note["because"].startswith("test_a.py::test_does left the main loop standing for ")


#: Waits for a beat, and freezes the app before the next one, which is due a tenth of a second later.
SERVES = """
import time

def beats(live_gui):
    return live_gui.health()["checks"]["main_loop"]["beats"]

def test_innocent(app, live_gui):
    app.do("serve_holds 0.1")
    while (live_gui.generation_folder / "state" / "command").exists():
        time.sleep(0.001)
    before = beats(live_gui)
    while beats(live_gui) < before + 12:  # frames of that length are usual
        time.sleep(0.001)
"""
HOLDS = """
import time

def test_freezes(live_gui):
    (live_gui.generation_folder / "state" / "hold").touch()
    while not (live_gui.generation_folder / "state" / "holds").exists():
        time.sleep(0.001)
    time.sleep(0.3)
"""


@pytest.mark.parametrize("same_file", [True, False], ids=["same_file", "next_file"])
def test_a_test_that_freezes_the_app_before_the_loop_turned_once_more_is_blamed_itself(
    suite: Suite, pytester: pytest.Pytester, same_file: bool
) -> None:
    conftest = pytester.path / "conftest.py"
    begins_late = "\ndef pytest_runtest_logstart():\n    time.sleep(0.03)  # after the last beat\n"
    conftest.write_text(conftest.read_text() + begins_late)
    files = {"test_a.py": SERVES + HOLDS} if same_file else {"test_a.py": SERVES, "test_b.py": HOLDS}
    suite(files | {"test_c.py": PASSES}).assert_outcomes(passed=3)
    (note,) = record(pytester)["notes"]
    culprit = "test_a.py::test_freezes" if same_file else "test_b.py::test_freezes"
    assert note["because"].startswith(f"{culprit} left the main loop standing for ")
    assert record(pytester)["generations"][0]["culprit"] == {"test": culprit, "inferred": True}


def test_the_note_says_where_the_app_stands(suite: Suite, pytester: pytest.Pytester) -> None:
    result = suite({"test_a.py": doing("hang 8"), "test_b.py": PASSES})
    result.assert_outcomes(passed=3)
    if list((pytester.path / ".livegui").glob("*/gen-1/stacks.txt")):  # py-spy is there and may look
        (note,) = record(pytester)["notes"]
        assert " s: do (plain_app.py:" in note["because"]


#: A Python beside which there is no py-spy.
WITHOUT_PY_SPY = """
import os, pathlib, sys
python = pathlib.Path(__file__).with_name("python")
python.write_text(f'#!/bin/sh\\nexec "{sys.executable}" "$@"\\n')
python.chmod(0o755)
sys.executable = str(python)
os.environ["PATH"] = os.defpath
"""


@pytest.mark.skipif(os.name == "nt", reason="the Python without py-spy is a script for a shell")
@pytest.mark.parametrize(
    ("freeze", "told"),
    [
        ("hang 8", r": do \(plain_app\.py:\d+\), called by .*"),
        ("deadlock", r": .*acquire \(threading\.py:\d+\), called by do \(plain_app\.py:\d+\).*"),
        ("spin", r": do \(plain_app\.py:\d+\), called by .*"),
        ("hold 8", ""),  # nothing in the app can look while native code holds the interpreter
    ],
)
def test_the_app_itself_knows_where_it_stands(
    suite: Suite, pytester: pytest.Pytester, freeze: str, told: str
) -> None:
    conftest = pytester.path / "conftest.py"
    conftest.write_text(WITHOUT_PY_SPY + conftest.read_text())
    suite({"test_a.py": doing(freeze), "test_b.py": PASSES}).assert_outcomes(passed=3)
    assert not list((pytester.path / ".livegui").glob("*/gen-1/stacks.txt")), "py-spy was there"
    (note,) = record(pytester)["notes"]
    stood = r"test_a\.py::test_does left the main loop standing for \d+\.\d s"
    passed = r" \(it had passed; blamed by inference\)"
    assert re.fullmatch(stood + told + passed, note["because"])


def test_a_test_can_be_failed_for_the_freeze_that_it_left(suite: Suite) -> None:
    files = {"test_a.py": doing("deadlock"), "test_b.py": PASSES}
    result = suite(files, ini="live_gui_handover = fail")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_does*",
            "left the main loop standing for *",
            "test_b.py  fresh process (generation 2): test_a.py::test_does left the main loop standing for *",
        ]
    )


OTHERS = {
    "one_that_does_not_use_the_app": "\ndef test_other():\n    pass\n",
    "an_innocent_one": "\ndef test_other(app):\n    pass\n",
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("scope", ["session", "module", "function"])
def test_only_the_test_that_froze_the_app_fails_whichever_comes_last(
    suite: Suite, scope: str, other: str
) -> None:
    files = {"test_a.py": doing("deadlock") + other, "test_b.py": PASSES}
    result = suite(files, "-v", ini=f"live_gui_handover = fail\nlive_gui_scope = {scope}")
    result.stdout.fnmatch_lines(["test_a.py::test_does ERROR *", "*ERROR at teardown of test_does*"])
    result.stdout.no_fnmatch_line("*ERROR at teardown of test_other*")
    result.stdout.fnmatch_lines(["test_b.py::test_* PASSED*"])


@pytest.mark.parametrize(
    ("options", "ini"),
    [
        (["-n1", "--dist=loadfile"], ""),
        ([], "live_gui_spares = 1\nlive_gui_command = {python} plain_app.py {hook_port}"),
    ],
    ids=["xdist", "spares"],
)
def test_a_freeze_fails_its_test_on_a_worker_and_before_a_spare(
    suite: Suite, options: list[str], ini: str
) -> None:
    files = {"test_a.py": doing("deadlock"), "test_b.py": PASSES}
    result = suite(files, *options, ini=f"live_gui_handover = fail\n{ini}")
    result.assert_outcomes(passed=3, errors=1)


def test_with_no_respawns_the_next_file_is_refused_a_frozen_app(suite: Suite) -> None:
    result = suite({"test_a.py": doing("deadlock"), "test_b.py": PASSES}, ini="live_gui_respawn = never")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["did not run: test_a.py::test_does left the main loop standing for *" + PASSED]
    )


def test_what_is_done_by_a_test_that_does_not_use_the_fixture_is_found_too(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    drives = """
import pathlib, time

def test_drives_by_itself():
    (state,) = pathlib.Path(".livegui").glob("*/gen-1/state")
    (state / "draft").write_text("deadlock")
    (state / "draft").rename(state / "command")
    while not (state / "taken").exists():
        time.sleep(0.005)
"""
    files = {"test_a.py": PASSES, "test_b.py": drives, "test_c.py": PASSES}
    suite(files).assert_outcomes(passed=3)
    (note,) = record(pytester)["notes"]
    assert note["file"] == "test_c.py"
    assert "left the main loop standing for" in note["because"]


def test_junit_names_the_culprit_on_the_test_whose_end_found_it(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    follows = "\ndef test_does_not_notice(app):\n    pass\n"
    files = {"test_a.py": doing("deadlock") + follows, "test_b.py": PASSES}
    suite(files, "--junitxml=report.xml").assert_outcomes(passed=4)
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "report.xml").iter("testcase")}
    properties = {p.get("name"): p.get("value") for p in cases["test_does_not_notice"].iter("property")}
    assert str(properties["live_gui_handover"]).startswith("test_a.py::test_does left the main loop standing")


def test_the_last_test_of_a_run_can_be_failed_too(suite: Suite) -> None:
    result = suite({"test_a.py": doing("deadlock")}, ini="live_gui_handover = fail")
    result.assert_outcomes(passed=2, errors=1)


#: A file whose last test stops the app's process for good.
STOPS = """
import os, signal

def test_first(app):
    pass

def test_stops(live_gui):
    os.kill(live_gui.pid, signal.SIGSTOP)
"""


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be stopped there by a signal")
@pytest.mark.parametrize(("handover", "errors", "sure"), [("respawn", 0, PASSED), ("fail", 1, "")])
def test_a_process_that_a_test_stopped_is_no_crash(
    suite: Suite, pytester: pytest.Pytester, handover: str, errors: int, sure: str
) -> None:
    files = {"test_a.py": STOPS, "test_b.py": PASSES}
    result = suite(files, ini=f"live_gui_handover = {handover}")
    result.assert_outcomes(passed=3, errors=errors)
    assert result.ret == errors
    (note,) = record(pytester)["notes"]
    assert note["because"].startswith(
        "test_a.py::test_stops left the app unresponsive: the agent does not answer"
    )
    assert note["because"].endswith(sure or " (blamed by inference)")


def test_a_freeze_that_the_watch_reports_while_no_test_uses_the_app_is_no_crash(
    quick_to_call_it_a_stall: Suite, pytester: pytest.Pytester
) -> None:
    other = """
import json, pathlib, time

def test_does_not_use_it():
    (run,) = pathlib.Path(".livegui").glob("*/run.json")
    deadline = time.monotonic() + 20
    while "left the main loop standing" not in run.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
"""
    files = {"test_a.py": doing("hang 30", TAKEN) + other, "test_b.py": PASSES}
    result = quick_to_call_it_a_stall(files)
    result.assert_outcomes(passed=4)
    assert result.ret == 0
    (note,) = record(pytester)["notes"]
    assert note["because"].startswith(
        "test_a.py::test_does left the main loop standing: main_loop_stalled: no beat"
    )


@pytest.mark.parametrize(
    ("ini", "outcomes"),
    [
        ("live_gui_respawn = never", {"passed": 4}),
        ("live_gui_handover = fail", {"passed": 4, "errors": 1}),
    ],
)
def test_tests_that_need_this_very_process_run_once_its_loop_turns_again(
    suite: Suite, pytester: pytest.Pytester, ini: str, outcomes: dict[str, int]
) -> None:
    waits = """
def test_waits():
    time.sleep(1)

def test_uses_it_again(app):
    assert app.live_gui.is_healthy()
"""
    never = "never" in ini
    files = {"test_a.py": doing("hang 1.2", TAKEN) + ("" if never else waits)}
    if never:
        files["test_b.py"] = "import time\n" + waits
    suite(files, ini=ini).assert_outcomes(**outcomes)
    (remark,) = record(pytester)["remarks"]
    assert remark.startswith("test_a.py::test_does left the main loop standing for ")
    assert remark.endswith("; the loop runs again")


def test_an_app_whose_frames_always_take_longer_than_the_time_out_is_kept(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    app = pytester.path / "plain_app.py"
    text = app.read_text(encoding="utf-8")
    assert "frame_s = 0.005" in text
    app.write_text(text.replace("frame_s = 0.005", "frame_s = 0.8"), encoding="utf-8")
    files = {f"test_{name}.py": "def test_uses(live_gui):\n    pass\n" for name in "abc"}
    suite(files).assert_outcomes(passed=3)
    assert record(pytester)["notes"] == []


def test_what_the_last_test_of_a_run_left_is_told(suite: Suite) -> None:
    result = suite({"test_a.py": doing("deadlock")})
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["test_a.py::test_does left the main loop standing for *" + PASSED])


def test_nobody_asks_where_that_is_switched_off(suite: Suite, pytester: pytest.Pytester) -> None:
    files = {"test_a.py": doing("hang 8"), "test_b.py": "def test_next(app):\n    pass\n"}
    suite(files, ini="live_gui_handover = off").assert_outcomes(passed=3)
    assert record(pytester)["notes"] == []


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("slow 0.4", id="slow"),
        pytest.param("idle", id="idle"),
        pytest.param("pause usable", id="paused"),
        pytest.param(
            "busy 16",
            id="busy",
            marks=pytest.mark.skipif(
                os.name == "nt",
                reason="CPython's interpreter lock is no queue there: sixteen busy threads hold the loop up for over a second",
            ),
        ),
    ],
)
def test_an_app_that_is_merely_slow_to_turn_is_kept(
    suite: Suite, pytester: pytest.Pytester, what: str
) -> None:
    files = {"test_a.py": doing(what)} | {
        f"test_{name}.py": "def test_next(app):\n    pass\n" for name in "bcdefg"
    }
    suite(files).assert_outcomes(passed=8)
    assert record(pytester)["notes"] == []


#: The app does something, and the test ends as soon as it is done.
ENDS_SOMETHING = """
import time

def beats(live_gui):
    return live_gui.health()["checks"]["main_loop"]["beats"]

def test_uses(app):
    app.do("watch_thread")
    while (app.live_gui.generation_folder / "state" / "command").exists():
        time.sleep(0.005)

def test_ends_it(app, live_gui):
    app.do({what!r})
    while (app.live_gui.generation_folder / "state" / "command").exists():
        time.sleep(0.001)
    before = beats(live_gui)
    while beats(live_gui) < before + 2:
        time.sleep(0.001)
"""


@pytest.mark.parametrize(
    ("what", "found"), [("end_thread", "thread_died"), ("end_pool", "executor_shutdown")]
)
def test_what_ends_just_before_a_file_does_is_found_before_the_next_begins(
    suite: Suite, pytester: pytest.Pytester, what: str, found: str
) -> None:
    notices = """
import time

def test_next(live_gui):
    time.sleep(0.5)
    assert live_gui.health()["status"] == "ok"
"""
    suite({"test_a.py": ENDS_SOMETHING.format(what=what), "test_b.py": notices}).assert_outcomes(passed=3)
    (note,) = record(pytester)["notes"]
    assert note["file"] == "test_b.py"
    assert f"after test_a.py::test_ends_it had ended (inferred blame): {found}: " in note["because"]


@pytest.mark.parametrize("seconds", [2.05, 2.5])
def test_a_process_that_is_stopped_for_a_moment_when_it_is_asked_is_kept(
    suite: Suite, pytester: pytest.Pytester, seconds: float
) -> None:
    stops = f"""
import os, pathlib, subprocess, sys

STOP = '''
import sys, time
from plain_suites import resume, suspend
pid = int(sys.argv[1])
suspend(pid)
print("stopped", flush=True)
time.sleep({seconds})
resume(pid)
'''

def test_uses(live_gui):
    pathlib.Path("pid").write_text(str(live_gui.pid))

def test_stops_the_app_and_does_not_use_it():
    command = [sys.executable, "-c", STOP, pathlib.Path("pid").read_text()]
    environment = os.environ | {{"PYTHONPATH": os.pathsep.join(sys.path)}}
    assert subprocess.Popen(command, stdout=subprocess.PIPE, env=environment).stdout.readline()
"""
    files = {"test_a.py": stops, "test_b.py": PASSES, "test_c.py": PASSES}
    suite(files, ini=HELPERS).assert_outcomes(passed=4)
    assert record(pytester)["notes"] == []


def test_a_longer_time_out_keeps_what_the_usual_one_replaces(suite: Suite, pytester: pytest.Pytester) -> None:
    files = {"test_a.py": doing("hang 2"), "test_b.py": PASSES}
    suite(files, ini="live_gui_handover_timeout = 20").assert_outcomes(passed=3)
    assert record(pytester)["notes"] == []


def test_a_shorter_time_out_replaces_sooner_than_the_usual_one(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    files = {f"test_{name}.py": doing("hang 8", TAKEN) for name in "abc"}
    suite(files, ini="live_gui_handover_timeout = 50ms").assert_outcomes(passed=6)
    text = " ".join(str(generation["why"]) for generation in record(pytester)["generations"])
    stood = [float(seconds) for seconds in re.findall(r"standing for ([\d.]+) s", text)]
    assert len(stood) == 3
    assert min(stood) < 0.5  # usually 0.1; at least one of three is measured without a delay


def test_a_declared_wait_in_which_the_app_cannot_be_used_is_no_life(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite({"test_a.py": doing("pause"), "test_b.py": PASSES}).assert_outcomes(passed=3)
    assert [note["file"] for note in record(pytester)["notes"]] == ["test_b.py"]


def test_a_dialog_that_a_file_left_open_costs_its_process(suite: Suite, pytester: pytest.Pytester) -> None:
    files = {"test_a.py": doing("open QMessageBox 'Save?'"), "test_b.py": PASSES}
    result = suite(files)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "test_b.py  fresh process (generation 2): test_a.py::test_does left open: QMessageBox 'Save?'"
            + PASSED
        ]
    )


def test_the_same_thing_left_open_by_file_after_file_may_be_the_app_s_own(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    files = {f"test_{name}.py": doing("open tip of the day") for name in "abcd"}
    result = suite(files)
    result.assert_outcomes(passed=8)
    told = [line for line in result.outlines if "live_gui_left_open = note" in line]
    assert len(told) == 1, "once"
    assert told[0].startswith("3 files in a row left open: tip of the day; if the app opens that by itself")


def test_a_dialog_that_was_left_open_can_be_a_mere_note(suite: Suite, pytester: pytest.Pytester) -> None:
    files = {"test_a.py": doing("open a dialog"), "test_b.py": PASSES, "test_c.py": PASSES}
    result = suite(files, ini="live_gui_left_open = note")
    result.assert_outcomes(passed=4)
    assert record(pytester)["notes"] == []
    told = [line for line in result.outlines if "left open" in line]
    assert told == ["test_a.py::test_does left open: a dialog"], "once"


OPENS_AND_THEN_CLOSES = """
import time

def do(app, live_gui, what):
    app.do(what)
    deadline = time.monotonic() + 20
    while live_gui.health()["checks"]["main_loop"]["left_open"] != what.split()[1:]:
        assert time.monotonic() < deadline
        time.sleep(0.01)

def test_opens(app, live_gui):
    do(app, live_gui, "open dialog")

def test_closes(app, live_gui):
    do(app, live_gui, "open ")
"""


@pytest.mark.parametrize("handover", ["respawn", "fail"])
def test_a_dialog_may_stay_open_from_one_test_of_a_file_to_the_next(
    suite: Suite, pytester: pytest.Pytester, handover: str
) -> None:
    files = {"test_a.py": OPENS_AND_THEN_CLOSES, "test_b.py": PASSES}
    suite(files, ini=f"live_gui_handover = {handover}").assert_outcomes(passed=3)
    assert record(pytester)["notes"] == []


def test_what_was_left_open_is_a_mere_note_where_no_process_may_be_replaced(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    files = {"test_a.py": doing("open a dialog"), "test_b.py": PASSES}
    result = suite(files, ini="live_gui_respawn = never")
    result.assert_outcomes(passed=3)
    assert [line for line in result.outlines if "left open" in line] == [
        "test_a.py::test_does left open: a dialog"
    ]


def test_a_file_that_would_have_got_a_frozen_app_whose_agent_answers_is_told_that_it_is_degraded(
    suite: Suite,
) -> None:
    files = {"test_a.py": doing("hang 60"), "test_b.py": PASSES}
    result = suite(files, ini="live_gui_respawn = never")
    result.stdout.fnmatch_lines(["ERROR test_b.py::test_next - GuiDegraded: did not run: *"])
    result.stdout.no_fnmatch_line("*GuiUnreachable*")


def test_a_hook_port_that_no_longer_answers_costs_the_process(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    files = {
        "test_a.py": doing("listen"),
        "test_b.py": doing("unlisten"),
        "test_c.py": PASSES,
    }
    suite(files).assert_outcomes(passed=5)
    (note,) = record(pytester)["notes"]
    assert note["file"] == "test_c.py"
    assert note["because"].startswith("test_b.py::test_does left its hook port ")


def test_work_that_stays_queued_is_told_and_costs_nothing(suite: Suite, pytester: pytest.Pytester) -> None:
    files = {"test_a.py": doing("queue 3", "time.sleep(1.2)"), "test_b.py": PASSES}
    result = suite(files)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(['test_a.py::test_does left work queued in executor "pool" (2 items, for *'])
    assert record(pytester)["notes"] == []


def test_files_that_each_leave_a_frozen_app_do_not_use_up_the_respawns(suite: Suite) -> None:
    files = {f"test_{name}.py": doing("deadlock") for name in "abcde"}
    suite(files, ini="live_gui_max_respawns = 2").assert_outcomes(passed=10)


def test_a_test_that_builds_on_prior_state_is_skipped_if_the_app_that_has_it_does_not_turn(
    suite: Suite,
) -> None:
    needs = (
        "import pytest\n\n@pytest.mark.requires_prior_state\ndef test_needs(app):\n    raise AssertionError\n"
    )
    result = suite({"test_a.py": doing("deadlock"), "test_b.py": needs})
    result.assert_outcomes(passed=2, skipped=1)


def test_the_question_is_put_again_if_something_came_in_between(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    between = "import time\n\ndef test_without_the_app():\n    time.sleep(1)\n"
    freezes_later = doing("hang_later 8")
    suite({"test_a.py": freezes_later, "test_b.py": between, "test_c.py": PASSES}).assert_outcomes(passed=4)
    (note,) = record(pytester)["notes"]
    assert note["because"].startswith("test_a.py::test_does left the main loop standing for ")


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("live_gui_handover = maybe", "expected respawn, fail or off"),
        ("live_gui_handover_timeout = 500", "expected 0.05 to 60 seconds, or a unit: 500ms"),
        ("live_gui_left_open = fail", "expected note or respawn"),
    ],
)
def test_a_bad_setting_is_refused_by_name_and_value(suite: Suite, setting: str, wanted: str) -> None:
    result = suite({"test_a.py": PASSES}, ini=setting)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{setting}: {wanted}*"])
