"""Waits that end with the app on every system and every thread, whatever the system can interrupt."""

from __future__ import annotations

from plain_suites import Suite

LOCK = """
import threading

def test_culprit(app, live_gui):
    lock = threading.Lock()
    lock.acquire()
    app.do("crash boom")
    live_gui.wait_for(lambda: lock.acquire(blocking=False), 30)
"""

THREAD = """
import threading
from livegui.errors import GuiDegraded

def test_culprit(app, live_gui):
    told = []

    def body():
        try:
            live_gui.sleep(30)
        except GuiDegraded as error:
            told.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    app.do("crash boom")
    thread.join(20)
    assert not thread.is_alive()
    assert "boom" in str(told[0])
    print("the thread was told")
"""

IN_TIME = """
import threading, time

def test_it(live_gui):
    event = threading.Event()
    threading.Timer(0.1, event.set).start()
    assert live_gui.wait_for(event.is_set, 30) is True
    assert live_gui.wait_for(lambda: None, 0.05) is None
    assert live_gui.wait_for(lambda: "at once", 0) == "at once"
    began = time.monotonic()
    live_gui.sleep(0.2)
    assert time.monotonic() - began >= 0.19
"""


def test_a_wait_for_a_lock_ends_with_the_app(suite: Suite) -> None:
    result = suite({"test_a.py": LOCK})
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*", "*boom*"])


def test_a_sleep_on_another_thread_ends_with_the_app(suite: Suite) -> None:
    result = suite({"test_a.py": THREAD}, "--live-gui-abort=false")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the thread was told*"])


def test_a_wait_returns_what_it_waited_for_and_nothing_once_it_is_too_late(suite: Suite) -> None:
    suite({"test_a.py": IN_TIME}).assert_outcomes(passed=1)
