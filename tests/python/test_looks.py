"""Pictures of the app, the links from other reports, the served page and ``livegui top``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page import Page
from plain_suites import not_here
from records import RunFolder

import livegui

Suite = Callable[..., pytest.RunResult]

#: mss, pytest-html and allure, which `python3 dev.py test` keeps out of .venv.
REPORTS = os.environ.get("LIVEGUI_TEST_REPORTS", "")
TOOLKITS = os.environ.get("LIVEGUI_TEST_TOOLKITS", "")
PNG = b"\x89PNG\r\n\x1a\n"

QT_APP = """
import sys
from PySide6.QtWidgets import QApplication, QLabel
import livegui
from livegui.toolkits import qt as live_qt

app = QApplication(sys.argv)
agent = livegui.start("qt")
label = QLabel("a label")
label.resize(320, 200)
label.show()
live_qt.install(agent)
with agent.main_loop():
    app.exec()
    agent.stopping()
"""


def needs(*programs: str, packages: str | None = None) -> None:
    """Skip where something is not there; CI has all of it."""
    missing = [name for name in programs if shutil.which(name) is None]
    why = f"not installed: {', '.join(missing)}" if missing else ""
    if packages == "":
        why = "run the tests with python3 dev.py test, which installs what they need"
    if why:
        not_here(why)


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob(".livegui/*/gen-*/picture-*.png"))


def wait_for(condition: Callable[[], object], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def qt_suite(suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite on a Qt app that has no screen."""
    needs(packages=TOOLKITS)
    monkeypatch.setenv("PYTHONPATH", TOOLKITS)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    (pytester.path / "qt_app.py").write_text(QT_APP)

    def run(files: dict[str, str], *options: str) -> pytest.RunResult:
        return suite(files, *options, ini="live_gui_command = {python} qt_app.py")

    return run


def test_an_app_whose_loop_turns_takes_its_own_picture(qt_suite: Suite, pytester: pytest.Pytester) -> None:
    files = {"test_a.py": "def test_good(live_gui): pass\ndef test_bad(live_gui): assert not live_gui.pid\n"}
    qt_suite(files, "--junitxml=junit.xml").assert_outcomes(passed=1, failed=1)
    (picture,) = pictures(pytester.path)
    assert picture.name == "picture-1-test_bad.png"
    taken = picture.read_bytes()
    assert taken.startswith(PNG)
    assert [int.from_bytes(taken[at : at + 4], "big") for at in (16, 20)] == [320, 200]
    report = (picture.parents[1] / "report.html").read_text()
    assert "data:image/png;base64," in report
    case = next(
        case
        for case in ET.parse(pytester.path / "junit.xml").iter("testcase")
        if case.get("name") == "test_bad"
    )
    properties = {entry.get("name"): entry.get("value") for entry in case.iter("property")}
    assert properties["live_gui_screenshot"] == str(picture)
    assert properties["live_gui_folder"] == str(picture.parent)


PYGAME_APP = """
import pygame
import livegui
from livegui.toolkits import pygame as live_pygame

agent = livegui.start("pygame")
live_pygame.install(agent)
pygame.init()
pygame.display.set_mode((200, 100)).fill("red")
with agent.main_loop():
    while not pygame.event.get(pygame.QUIT):
        pygame.time.wait(10)
        pygame.event.pump()
    agent.stopping()
"""


def test_a_pygame_app_takes_its_own_picture(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(packages=TOOLKITS)
    monkeypatch.setenv("PYTHONPATH", TOOLKITS)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    (pytester.path / "pygame_app.py").write_text(PYGAME_APP)
    files = {"test_a.py": "def test_bad(live_gui): assert not live_gui.pid\n"}
    suite(files, ini="live_gui_command = {python} pygame_app.py").assert_outcomes(failed=1)
    (picture,) = pictures(pytester.path)
    taken = picture.read_bytes()
    assert taken.startswith(PNG)
    assert [int.from_bytes(taken[at : at + 4], "big") for at in (16, 20)] == [200, 100]


def test_allure_gets_the_picture_and_the_logs(
    qt_suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(packages=REPORTS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TOOLKITS, REPORTS]))
    files = {"test_a.py": "def test_good(live_gui): pass\ndef test_bad(live_gui): assert not live_gui.pid\n"}
    qt_suite(files, "--alluredir=allure").assert_outcomes(passed=1, failed=1)
    results = [json.loads(file.read_text()) for file in (pytester.path / "allure").glob("*-result.json")]
    attached = {result["name"]: {one["name"] for one in result.get("attachments", [])} for result in results}
    assert {"app", "app stderr", "app heartbeat log"} <= attached["test_bad"]
    assert attached["test_good"] == set()
    (name,) = [
        one["source"] for result in results for one in result.get("attachments", []) if one["name"] == "app"
    ]
    assert (pytester.path / "allure" / name).read_bytes().startswith(PNG)


def test_pictures_are_taken_when_they_are_asked_for(qt_suite: Suite, pytester: pytest.Pytester) -> None:
    files = {"test_a.py": "def test_good(live_gui): pass\ndef test_bad(live_gui): assert not live_gui.pid\n"}
    qt_suite(files, "--live-gui-screenshot=never")
    assert pictures(pytester.path) == []
    qt_suite(files, "--live-gui-screenshot=always")
    assert [path.name for path in pictures(pytester.path)] == [
        "picture-1-test_good.png",
        "picture-2-test_bad.png",
    ]
    done = qt_suite(files, "--live-gui-screenshot=sometimes")
    done.stderr.fnmatch_lines(["*live_gui_screenshot = sometimes: expected one of on_failure, always, never"])


def test_nothing_is_taken_of_an_app_that_is_gone_or_of_one_without_a_picture(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    body = "import time\ndef test_a(app):\n    app.do('exit 3')\n    time.sleep(5)\ndef test_b(app): pass\n"
    suite({"test_a.py": body, "test_b.py": "def test_c(app): pass\n"})
    assert pictures(pytester.path) == []


TK_APP = """
import tkinter, livegui
from livegui.toolkits import tk as live_tk
root = tkinter.Tk()
root.geometry("300x150+10+10")
agent = livegui.start("tk")
live_tk.install(agent, root)
with agent.main_loop():
    root.mainloop()
    agent.stopping()
"""


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    needs("Xvfb")
    reader, writer = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "800x600x24"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(writer)
        with os.fdopen(reader) as said:
            name = f":{said.readline().strip()}"
        monkeypatch.setenv("DISPLAY", name)
        yield name
        server.terminate()


def test_a_picture_off_the_display_has_the_app_only(
    display: str, suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(packages=REPORTS)
    pytest.importorskip("tkinter")
    monkeypatch.setenv("PYTHONPATH", REPORTS)
    (pytester.path / "tk_app.py").write_text(TK_APP)
    body = "import time\ndef test_bad(live_gui):\n    time.sleep(1)\n    assert not live_gui.pid\n"
    suite({"test_a.py": body}, "--html=page.html", ini="live_gui_command = {python} tk_app.py")
    (picture,) = pictures(pytester.path)
    taken = picture.read_bytes()
    wide, high = (int.from_bytes(taken[at : at + 4], "big") for at in (16, 20))
    assert (wide, high) in {(300, 150), (800, 600)}, "the window, or the screen of an app that tells no pid"
    peer = (pytester.path / "page.html").read_text()
    assert "app stderr" in peer
    assert "/gen-1/stderr.log" in peer


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[RunFolder, str]]:
    """A run that goes on, and the URL of its page."""
    run = RunFolder(tmp_path, "run")
    run.test(10, 5, "test_a.py::test_one")
    run.process(1, 0, 100)
    run.write(None)
    command = [sys.executable, "-m", "livegui", "report", str(run.path), "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield run, server.stdout.readline().strip()
        if sys.platform == "win32":  # where Ctrl-C can be pressed for a whole console only
            server.kill()
        else:
            server.send_signal(signal.SIGINT)
            assert server.wait(10) == 130


def test_a_served_page_shows_what_is_new(page: Page, served: tuple[RunFolder, str]) -> None:
    run, url = served
    page.driver.get(url)
    assert "1 passed" in page.text("#counts")
    run.test(200, 5, "test_a.py::test_two", "failed", message="E   boom")
    run.write(400)
    wait_for(lambda: "1 failed" in page.text("#counts"))
    assert "boom" in page.text("#culprit-list")
    assert page.complaints() == []


def test_nobody_gets_in_without_the_token(served: tuple[RunFolder, str]) -> None:
    _, url = served
    for wrong in (url.split("?")[0], url[:-1] + ("0" if url[-1] != "0" else "1")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(wrong, timeout=10)
        assert refused.value.code == 401


def test_top_prints_plain_lines_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    command = [sys.executable, "-m", "livegui", "top", "--once"]
    alone = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert alone.stdout == "no app of this user runs with livegui\n"
    agent = livegui.start("shown")
    agent.beat()
    try:
        line = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    finally:
        agent.stop()
    assert line.split()[:3] == [str(os.getpid()), "shown", "ok"]


def test_top_finds_apps_under_test_and_the_running_test(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(pytester.path))
    body = """
import subprocess, sys
def test_looks(app):
    command = [sys.executable, "-m", "livegui", "top", "--once"]
    line = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "plain" in line and "generation 1" in line and "test_a.py::test_looks" in line, line
    assert "pool 0/" in line, line
"""
    suite({"test_a.py": body}).assert_outcomes(passed=1)
    assert list((pytester.path / "livegui").glob("run-*.json")) == [], "it is taken away at the end"


def test_top_in_a_terminal_filters_and_quits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("tmux")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    agent = livegui.start("shown")
    agent.beat()
    tmux = ["tmux", "-L", "livegui-test", "-f", "/dev/null"]

    def seen() -> str:
        return subprocess.run(
            [*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False
        ).stdout

    def press(key: str) -> None:
        subprocess.run([*tmux, "send-keys", key], check=True)

    command = f"{sys.executable} -m livegui top; echo ended with $?; exec cat"
    subprocess.run([*tmux, "new-session", "-d", "-x", "120", "-y", "20", command], check=True)
    try:
        wait_for(lambda: "shown" in seen() and "ok" in seen())
        press("d")
        wait_for(lambda: "none of them is shown" in seen())
        press("a")
        wait_for(lambda: "1 of 1 apps" in seen())
        press("q")
        wait_for(lambda: "ended with 0" in seen())
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
        agent.stop()
