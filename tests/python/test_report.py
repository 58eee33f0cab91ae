"""The report, looked at in a real browser: of real runs, and of records that would take long to make."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from page import Page, missing, open_browser
from records import RunFolder, many_tests

ROOT = Path(__file__).parents[2]
SLOPPY = ROOT / "examples" / "sloppy"
ENTER, ESCAPE, RIGHT, DOWN, TAB = "\ue007", "\ue00c", "\ue014", "\ue015", "\ue004"

Suite = Callable[..., pytest.RunResult]


def livegui(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "livegui", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", timeout=60, check=False)


def written(folder: Path) -> Path:
    """The one report under a folder of runs."""
    (file,) = folder.glob(".livegui/*/report.html")
    return file


def data(file: Path) -> dict[str, object]:
    """What a page has."""
    found = re.search(r'<script id="data"[^>]*>(.*?)</script>', file.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    document: dict[str, object] = json.loads(found[1])
    return document


@pytest.fixture(scope="module")
def sloppy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the sloppy suite: Dear ImGui, a real IM_ASSERT."""
    folder = tmp_path_factory.mktemp("sloppy")
    ignored = shutil.ignore_patterns(".livegui", "__pycache__")
    shutil.copytree(SLOPPY, folder, dirs_exist_ok=True, ignore=ignored)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    file = written(folder)
    assert f"report: {file}" in done.stdout
    return file


def test_the_sloppy_suite_shows_its_culprit_after_one_click(page: Page, sloppy: Path) -> None:
    page.open(sloppy)
    sentence = (
        "1 culprit took down 1 process; 1 test did not run because of that; 1 of 2 files ran on a process"
    )
    assert page.text("#sentence").startswith(sentence)
    page.find("#culprit-list a").click()
    assert page.shows("#details", "test_execution_sim_live")
    shown = page.text("#details")
    assert "IM_ASSERT" in shown
    assert "python -m pytest tests/test_extended_sims.py::test_execution_sim_live" in shown
    assert "tests/test_extended_sims.py::test_execution_result_sim_live" in shown, "its victim"
    assert page.run("return location.hash").startswith("#test=tests")
    page.find("#details dd a").click()  # the process that it ran on
    assert page.shows("#details-title", "Generation 1")
    assert "degraded" in page.text("#details")
    page.run("history.back()")
    assert page.shows("#details-title", "test_execution_sim_live")
    assert page.complaints() == []


def test_a_link_leads_straight_to_a_test(page: Page, sloppy: Path) -> None:
    page.open(sloppy, "#test=tests%2Ftest_live_workflow.py%3A%3Atest_full_live_workflow")
    assert page.shows("#details-title", "test_full_live_workflow")
    assert page.complaints() == []


def test_files_start_on_a_fresh_process_and_the_table_says_why(page: Page, sloppy: Path) -> None:
    page.open(sloppy)
    page.find("#filter-fresh").click()
    rows = [row.text for row in page.all("#rows tr.file")]
    assert len(rows) == 1
    assert "fresh process (generation 2)" in rows[0]
    assert "test_execution_sim_live left generation 1 degraded" in rows[0]


CRASHES = {6, 17, 23, 31, 44}


def test_of_49_files_with_5_crashes_every_culprit_is_named(
    page: Page,
    suite: Suite,
    pytester: pytest.Pytester,
) -> None:
    files = {}
    for number in range(49):
        crash = f"\n    app.do('crash boom {number}')\n    time.sleep(5)" if number in CRASHES else ""
        files[f"test_{number:02d}.py"] = (
            f"import time\ndef test_one(app):\n    time.sleep(0.01){crash}\ndef test_two(app): pass\n"
        )
    suite(files, "-q", ini="live_gui_command = {python} plain_app.py {hook_port}\nlive_gui_spares = 1")
    page.open(written(pytester.path))
    sentence = "5 culprits took down 5 processes; 5 tests did not run because of that; 44 of 49 files ran on a process"
    assert sentence in page.text("#sentence")
    cards = [card.text for card in page.all("#culprit-list a")]
    for number in CRASHES:
        assert any(f"test_{number:02d}.py::test_one" in card and f"boom {number}" in card for card in cards)
    page.find("#filter-victims").click()
    assert page.text("#shown") == "5 tests in 5 files of 49"
    assert page.complaints() == []


def test_a_run_that_was_killed_in_mid_file_has_a_report(
    page: Page,
    suite: Suite,
    pytester: pytest.Pytester,
) -> None:
    body = """
        import os, signal, time
        def test_one(app): pass
        def test_two(app): os.kill(os.getpid(), signal.SIGKILL)
        def test_three(app): pass
    """
    done = suite({"test_a.py": body.replace("\n        ", "\n"), "test_b.py": "def test_four(app): pass\n"})
    assert done.ret == -signal.SIGKILL
    said = livegui("report", cwd=pytester.path)
    assert said.returncode == 0, said.stderr
    assert "pytest was killed during 1 test; 2 tests never began; 0 of 1 file" in said.stdout
    page.open(written(pytester.path))
    assert "pytest was killed" in page.text("#state")
    page.find("#culprit-list a").click()
    assert page.shows("#details-title", "test_two")
    assert "its pytest ended" in page.text("#culprit-list")
    assert "2 never began" in page.text("#counts")
    assert page.complaints() == []


def test_2000_tests_on_4_workers_zoom_and_search(page: Page, tmp_path: Path) -> None:
    folder = many_tests(tmp_path, 2000)
    assert livegui("report", folder).returncode == 0
    assert (folder / "report.html").stat().st_size < 400_000
    page.open(folder / "report.html")
    assert "12 culprits took down 12 processes" in page.text("#sentence")
    assert "4 pytests" in page.text("#counts")
    frames = page.run_async(
        """
        const done = arguments[0], box = document.getElementById("timeline"), corner = box.getBoundingClientRect();
        box.focus();
        let left = 60;
        const step = () => {
          const at = { clientX: corner.left + 700, clientY: corner.top + 60, bubbles: true, cancelable: true };
          box.dispatchEvent(new WheelEvent("wheel", { deltaY: -60, ...at }));
          if (--left) requestAnimationFrame(step); else done(document.getElementById("canvas").dataset.took);
        };
        requestAnimationFrame(step);
        """
    )
    assert float(frames) >= 0
    page.find("#search").send_keys("gw boom 260")
    assert page.text("#shown") == "0 tests in 0 files of 100"
    page.find("#search").clear()
    page.find("#search").send_keys("boom 260")
    assert page.text("#shown") == "4 tests in 4 files of 100"
    assert page.complaints() == []


def test_everything_can_be_reached_by_keys(page: Page, sloppy: Path) -> None:
    page.open(sloppy)
    page.press("/")
    assert page.run("return document.activeElement.id") == "search"
    page.run("document.getElementById('timeline').focus()")
    page.press("c")
    assert "culprit: tests/test_extended_sims.py::test_execution_sim_live" in page.run(
        "return document.getElementById('spoken').textContent"
    )
    page.press(ENTER)
    assert page.shows("#details-title", "test_execution_sim_live")
    assert page.run("return document.activeElement.id") == "details"
    page.press(ESCAPE)
    assert page.find("#details").get_attribute("hidden") is not None
    assert page.run("return document.activeElement.id") == "timeline"
    page.press(RIGHT)
    before = page.run("return document.getElementById('spoken').textContent")
    page.press(DOWN)
    assert page.run("return document.getElementById('spoken').textContent") != before
    # And without a script's help: by Tab alone to the first culprit.
    page.open(sloppy)
    page.press(TAB, TAB)
    assert "card" in page.run("return document.activeElement.className")
    page.press(ENTER)
    assert page.shows("#details-title", "test_execution_sim_live")


HOSTILE = [
    "<script>window.hostile = 1</script>",
    "</script><script>window.hostile = 2</script>",
    "<!--<script>",
    "<img src=x onerror='window.hostile = 3'>",
    "javascript:window.hostile=4",
    "\x1b[31mred\x1b[0m \x00 \x07 \u2028 \u202e {{script}} $& ]]>",
]


def test_hostile_text_is_shown_as_text(page: Page, tmp_path: Path) -> None:
    run = RunFolder(tmp_path, "hostile <script>window.hostile = 5<")
    text = "\n".join(HOSTILE)
    name = f"tests/test_<b>.py::test_x[{HOSTILE[0]}{HOSTILE[4]}]"
    run.test(100, 50, name, "failed", message=f"E   {text}")
    culprit = {"test": name, "inferred": False}
    run.process(1, 0, 200, "degraded", why=text, culprit=culprit, command=["python", HOSTILE[1]])
    run.record["remarks"] = [text]
    run.record["notes"] = [{"file": "tests/test_<b>.py", "test": name, "generation": 1, "because": text}]
    folder = run.write(300)
    (folder / "gen-1" / "stderr.log").write_text(text)
    (folder / "gen-1" / "health.json").write_text(json.dumps({"message": text}))
    assert livegui("report", folder).returncode == 0
    page.open(folder / "report.html")
    page.find("#culprit-list a").click()
    for summary in page.all("#details summary"):
        if summary.find_element("xpath", "..").get_attribute("open") is None:
            summary.click()
    shown = page.text("#details")
    for line in HOSTILE[:5]:
        assert line in shown
    assert "red \\x00 \\x07 \\u2028 \\u202e {{script}} $& ]]>" in shown
    assert page.run("return window.hostile") is None
    assert (
        page.run("return document.querySelectorAll('main script, aside script, main img, aside img').length")
        == 0
    )
    links = page.run("return [...document.links].map((link) => link.protocol)")
    assert set(links) <= {"file:"}
    assert page.complaints() == []


def test_the_page_can_load_nothing(page: Page, sloppy: Path) -> None:
    page.open(sloppy)
    blocked = page.run_async(
        """
        const done = arguments[0], seen = [];
        addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
        const image = new Image();
        image.src = "http://127.0.0.1:9/x.png";
        const script = document.createElement("script");
        script.textContent = "window.injected = 1";
        document.body.append(image, script);
        fetch("http://127.0.0.1:9/").catch(() => setTimeout(() => done([seen.sort(), window.injected]), 50));
        """
    )
    assert blocked == [["connect-src", "img-src", "script-src-elem"], None]
    page.complaints()  # of what was tried here
    assert re.findall(r"(?:src|href)=\"(?!data:,|#)[^\"]*\"", sloppy.read_text()) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_narrow_window_shows_all_of_it(
    page: Page,
    sloppy: Path,
    tmp_path: Path,
    dark: bool,
) -> None:
    narrow = Page(open_browser(tmp_path / "profile", size="narrow", dark=dark))
    try:
        narrow.open(sloppy)
        assert narrow.run("return document.documentElement.scrollWidth <= innerWidth")
        narrow.find("#culprit-list a").click()
        assert narrow.run("return document.documentElement.scrollWidth <= innerWidth")
        assert narrow.find("#details").rect["x"] == 0
        assert narrow.complaints() == []
    finally:
        narrow.driver.quit()


def luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_colours_can_be_told_from_what_they_stand_on() -> None:
    style = (ROOT / "src" / "report" / "page" / "page.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\n\s*\}", style, re.DOTALL)
    text = {"text", "muted", "link"}
    outcomes = {
        "passed",
        "failed",
        "error",
        "victim",
        "skipped",
        "xfailed",
        "xpassed",
        "running",
        "lost",
        "not_run",
    }
    for block in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        states = {name for name in colours if name.startswith("state-")}
        for name in text | outcomes | states:
            assert contrast(colours[name], colours["surface"]) >= 4.5, name
            assert contrast(colours[name], colours["raised"]) >= 4.5, name
        for name in text:
            assert contrast(colours[name], colours["page"]) >= 4.5, name
        for name in outcomes | states:
            assert contrast(colours[name], colours["on-bar"]) >= 4.5, name


def test_a_session_of_xdist_is_one_report(suite: Suite, pytester: pytest.Pytester) -> None:
    files = {f"test_{name}.py": f"def test_{name}(app): pass\n" for name in "abcd"}
    done = suite(files, "-n2", "--dist=loadfile")
    file = written(pytester.path)
    done.stdout.fnmatch_lines([f"report: {file}"])
    report = data(file)
    groups = report["groups"]
    assert isinstance(groups, list)
    assert [group["name"] for group in groups] == ["gw0", "gw1"]
    assert report["sentence"] == (
        "All 4 tests ran, and no process went down; 4 of 4 files ran on a process they could trust."
    )


def test_batches_are_one_report_each_batch_with_its_own_lanes(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    (pytester.path / "pyproject.toml").write_text(
        '[tool.livegui.batches.unit]\npaths = ["unit"]\n[tool.livegui.batches.live]\npaths = ["live"]\n'
    )
    suite(
        {"unit/test_u.py": "def test_u(): pass\n", "live/test_l.py": "def test_l(app): pass\n"},
        "--collect-only",
    )
    shutil.rmtree(pytester.path / ".livegui", ignore_errors=True)
    done = livegui("run", cwd=pytester.path)
    assert done.returncode == 0, done.stdout
    (file,) = pytester.path.glob(".livegui/batches/*/report.html")
    assert f"report: {file.relative_to(pytester.path)}" in done.stdout
    groups = data(file)["groups"]
    assert isinstance(groups, list)
    assert [(group["name"], len(group["processes"])) for group in groups] == [("unit", 0), ("live", 1)]
    # The newest run is meant if none is named.
    said = livegui("report", cwd=pytester.path)
    assert said.stdout.startswith(f".{os.sep}{file.relative_to(pytester.path)}")


def test_a_plain_run_writes_no_report_if_told_so(suite: Suite, pytester: pytest.Pytester) -> None:
    done = suite({"test_a.py": "def test_a(app): pass\n"}, "--live-gui-report=false")
    assert not list(pytester.path.glob(".livegui/*/report.html"))
    assert "report:" not in done.stdout.str()
    assert livegui("report", cwd=pytester.path).returncode == 0, "its records are there all the same"
    done = suite({}, "--live-gui-report=maybe")
    done.stdout.no_fnmatch_line("report: *")


def test_a_run_without_an_app_leaves_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_a(): pass")
    pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert not (pytester.path / ".livegui").exists()


def test_who_asks_for_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    said = livegui("report", cwd=tmp_path)
    assert said.returncode == 2
    looked = "./.livegui or ./.livegui/batches".replace("/", os.sep)
    assert f"there is no run in {looked}" in said.stderr
    said = livegui("report", "elsewhere", cwd=tmp_path)
    assert said.returncode == 2
    assert "elsewhere is no folder of a run" in said.stderr


def test_a_folder_that_was_moved_shows_the_same_and_leads_nowhere_else(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, "run")
    run.test(10, 5, "test_a.py::test_a", screenshots=["../secret.png", "gen-1/picture-1.png"])
    run.process(1, 0, 100)
    run.record["events"] = "../../somewhere/secret.txt"
    folder = run.write(200)
    png = b"\x89PNG\r\n\x1a\n"
    (tmp_path / "secret.png").write_bytes(png)
    (folder / "gen-1" / "picture-1.png").write_bytes(png)
    moved = folder.rename(tmp_path / "moved")
    assert livegui("report", moved).returncode == 0
    tests = data(moved / "report.html")["tests"]
    assert isinstance(tests, list)
    assert len(tests[0]["pictures"]) == 1
    page_elsewhere = tmp_path / "elsewhere.html"
    assert livegui("report", moved, "--html", page_elsewhere).returncode == 0
    groups = data(page_elsewhere)["groups"]
    assert isinstance(groups, list)
    assert groups[0]["processes"][0]["files"][0][1].startswith(f"{moved.as_uri()}/gen-1/")


def test_a_trace_follows_the_rules_of_the_format(sloppy: Path, tmp_path: Path) -> None:
    """The rules are those of "Trace Event Format" that Perfetto's importer counts as errors."""
    file = tmp_path / "trace.json"
    assert livegui("report", sloppy.parent, "--trace", file).returncode == 0
    trace = json.loads(file.read_text())
    events = trace["traceEvents"]
    assert {"X", "M", "s", "f", "b", "e"} <= {event["ph"] for event in events}
    names = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {"tests", "generation 1 (pid "} <= {re.sub(r"\d+\)$", "", name) for name in names}
    rows: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for event in events:
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] != "M":
            assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
            rows.setdefault((event["pid"], event["tid"]), []).append(
                (event["ts"], event["ts"] + event["dur"])
            )
    for spans in rows.values():  # on one row a span lies within another or beside it
        spans.sort(key=lambda span: (span[0], -span[1]))
        open_spans: list[float] = []
        for start, end in spans:
            while open_spans and open_spans[-1] <= start:
                open_spans.pop()
            assert not open_spans or end <= open_spans[-1]
            open_spans.append(end)
    for begins, ends in (("s", "f"), ("b", "e")):
        keys = [
            [(event.get("cat"), event["id"]) for event in events if event["ph"] == ph]
            for ph in (begins, ends)
        ]
        assert sorted(keys[0]) == sorted(keys[1])
        at = {event["id"]: event["ts"] for event in events if event["ph"] == begins}
        assert all(event["ts"] >= at[event["id"]] for event in events if event["ph"] == ends)


def test_a_plain_pytest_notes_its_tests_while_they_run(suite: Suite, pytester: pytest.Pytester) -> None:
    body = """
import json, pathlib
def test_before(): pass
def test_one(app):
    lines = (app.live_gui.run_folder / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == [
        "session_started", "collected", "test_started", "test_finished", "test_started", "app_opened"]
    assert events[3]["test"] == "test_a.py::test_before"
"""
    suite({"test_a.py": body}).assert_outcomes(passed=2)
    (record,) = pytester.path.glob(".livegui/*/run.json")
    run = json.loads(record.read_text())
    assert run["events"] == "events.jsonl"
    (generation,) = run["generations"]
    words = [change["state"] for change in generation["states"]]
    assert words == ["starting", "ready", "ok", "ended"]
    assert generation["started_at_ms"] <= generation["states"][1]["at_ms"] <= generation["ended_at_ms"]


def test_text_that_is_no_unicode_ends_no_run(suite: Suite, pytester: pytest.Pytester) -> None:
    body = """
        def test_a(app):
            raise AssertionError("half a pair: \\udce9")
    """
    suite({"test_a.py": body.replace("\n        ", "\n")}, "--collect-only")
    # pytester takes what is printed for UTF-8, which this is not.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=pytester.path, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    tests = data(written(pytester.path))["tests"]
    assert isinstance(tests, list)
    assert "half a pair: " in tests[0]["message"]


def test_a_journal_names_what_is_watched(suite: Suite, pytester: pytest.Pytester) -> None:
    suite({"test_a.py": "import time\ndef test_a(app): app.do('queue 3'); time.sleep(1.3)\n"})
    parts = data(written(pytester.path))["groups"][0]["processes"][0]["parts"]  # type: ignore[index]
    assert [(part["name"], part["kind"]) for part in parts] == [("pool", "ThreadPoolExecutor")]
    assert any(queued for _, _, queued in parts[0]["states"])


def test_no_browser_is_no_reason_to_skip_in_ci() -> None:
    """The tests above skip with a reason where there is no browser; CI has one."""
    if os.environ.get("CI") == "true":
        assert missing() is None
