"""More than one app in a suite: each with its own processes, notes and blame."""

from __future__ import annotations

import json
import sys

import pytest
from plain_suites import Suite

TELLS = """
import sys

def who(live_gui):
    return live_gui.process.args.split()[-1]
"""


@pytest.mark.parametrize("options", [[], ["-n2", "--dist=loadfile"]], ids=["alone", "xdist"])
def test_a_command_that_a_sub_folder_or_a_file_overrides_is_an_app_of_its_own(
    suite: Suite, pytester: pytest.Pytester, options: list[str]
) -> None:
    override = """
import pytest

@pytest.fixture(scope="session")
def live_gui_command():
    return "{{python}} plain_app.py {name}"
"""
    test = """
import time

def test_who(live_gui):
    assert live_gui.script.split()[-1] == "{name}" and live_gui.generation == 1

def test_crash(app):
    app.do("crash {name}")
    time.sleep(20)

def test_victim(live_gui):
    pass
"""
    root = test.replace("{name}", "first")
    after = "def test_after(live_gui):\n    assert live_gui.is_healthy()\n"
    files = {
        "test_a.py": root,
        "sub/conftest.py": override.format(name="second"),
        "sub/test_b.py": test.replace("{name}", "second"),
        "sub/test_c.py": after,
        "test_d.py": override.format(name="third") + test.replace("{name}", "third"),
        "test_e.py": after,
    }
    ini = "live_gui_command = {python} plain_app.py first"
    result = suite(files, *options, ini=ini)
    if options:
        result.assert_outcomes(passed=5, failed=3, errors=3)
        return
    result.assert_outcomes(passed=5, failed=3, errors=3)
    result.stdout.fnmatch_lines_random(
        [
            "*the app degraded during this test (generation 1, pid *",
            "*the app degraded during this test (test_d, generation 1, pid *",
            "sub/test_c.py  fresh process of sub (generation 2): sub/test_b.py::test_crash left generation 1 *",
            "test_e.py  fresh process (generation 2): test_a.py::test_crash left generation 1 degraded: *",
        ]
    )
    records = [json.loads(path.read_text()) for path in (pytester.path / ".livegui").glob("*/run.json")]
    assert sorted((record.get("app", ""), len(record["generations"])) for record in records) == [
        ("", 2),
        ("sub", 2),
        ("test_d", 1),
    ]


PLAYERS = """
import time, pytest

@pytest.fixture(scope="session")
def server(live_gui_factory):
    return live_gui_factory("server", command="{python} plain_app.py server")

@pytest.fixture
def client(live_gui_factory, server):
    return live_gui_factory("client", env={"LIVEGUI_TEST_SERVER": str(server.hook_port)})

def do(live_gui, what):
    state = live_gui.generation_folder / "state"
    (state / "draft").write_text(what)
    (state / "draft").rename(state / "command")

def test_both(client, server):
    assert client.pid != server.pid and client.generation == server.generation == 1
    assert client.run_folder != server.run_folder

def test_the_server_crashes(client, server):
    do(server, "crash boom")
    time.sleep(20)

def test_needs_both(client, server):
    pass

def test_quits(live_gui_factory):
    client = live_gui_factory("client")
    with client.expect_exit():
        do(client, "stop")
    assert client.generation == 2
"""


def test_two_apps_at_once_are_blamed_and_replaced_each_by_itself(suite: Suite) -> None:
    after = """
def test_after(live_gui_factory):
    server, client = live_gui_factory("server"), live_gui_factory("client")
    assert server.is_healthy() and client.is_healthy()
    assert (server.generation, client.generation) == (2, 2)
"""
    files = {"conftest_players.py": "", "test_a.py": PLAYERS, "test_b.py": after}
    result = suite(files)
    result.assert_outcomes(passed=3, failed=1, errors=1)
    result.stdout.fnmatch_lines_random(
        [
            "*the app degraded during this test (server, generation 1, pid *",
            "*did not run: test_the_server_crashes left the app degraded: *",
            "test_b.py  fresh process of server (generation 2): test_a.py::test_the_server_crashes left *",
            "test_a.py  fresh process of client (generation 2): ended on purpose by test_a.py::test_quits",
        ]
    )


def test_an_app_that_fails_to_start_leaves_the_others_watched(suite: Suite) -> None:
    test = """
import time, pytest
from livegui.errors import LiveGuiError

def test_second_does_not_start(app, live_gui, live_gui_factory):
    with pytest.raises(LiveGuiError, match="exit status 7"):
        live_gui_factory("second", command=[{python}, "-c", "raise SystemExit(7)"])
    assert live_gui.is_healthy()

def test_crash(app, live_gui_factory):
    with pytest.raises(LiveGuiError, match="exit status 8"):
        live_gui_factory("third", command=[{python}, "-c", "raise SystemExit(8)"])
    app.do("crash boom")
    time.sleep(60)

def test_victim(live_gui):
    pass
"""
    after = "def test_after(live_gui):\n    assert live_gui.generation == 2\n"
    result = suite({"test_a.py": test.replace("{python}", repr(sys.executable)), "test_b.py": after})
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines_random(
        [
            "*GuiDegraded: main_loop_crashed: RuntimeError: boom",
            "test_b.py  fresh process (generation 2): test_a.py::test_crash left generation 1 *",
        ]
    )


def test_a_remark_and_a_run_folder_name_their_app(suite: Suite) -> None:
    test = """
def test_both(live_gui_factory):
    for name in ("server", "client"):
        assert live_gui_factory(name).is_healthy()
"""
    ini = "live_gui_command = {python} plain_app.py --port {hook_port}\nlive_gui_ready_timeout = 5"
    result = suite({"test_a.py": test}, ini=ini)
    result.assert_outcomes(passed=1)
    for name in ("server", "client"):
        assert sum(line.startswith(f"{name}: nothing listens on port ") for line in result.outlines) == 1
        assert sum(line.startswith(f"run folder of {name}: ") for line in result.outlines) == 1
