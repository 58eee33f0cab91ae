"""``livegui audit``: real suites, real processes, hidden state that is known beforehand."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import audit_suite
import pytest
from plain_suites import is_running

from livegui import _outline

posix = pytest.mark.skipif(
    os.name != "posix", reason="POSIX signals and /dev; Ctrl-C on a console of Windows: test_windows.py"
)
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

#: On Windows a pytest takes longer than elsewhere to begin.
HANGS_AFTER = "10s" if os.name == "nt" else "4s"
OPENS = "def test_opens(app):\n    app.tell('project')\n"
SAVES = "def test_saves(app):\n    assert 'project' in app.words()\n"
READS = "def test_reads(app):\n    assert app.words() is not None\n"


class Audit:
    """An audit of a folder: its exit status, what it printed, what it recorded."""

    def __init__(self, root: Path, *options: str) -> None:
        command = [sys.executable, "-m", "livegui", "audit", "-C", str(root), *options]
        self.root = root
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def wait(self) -> Audit:
        self.out, self.err = self.process.communicate(timeout=300)
        self.status = self.process.returncode
        return self

    @property
    def folder(self) -> Path:
        return max((self.root / ".livegui" / "audits").iterdir())

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.folder / "audit.json").read_text(encoding="utf-8"))
        return record

    @property
    def found(self) -> dict[tuple[str, str], list[str]]:
        report = self.record["report"]
        return {(found["finding"], found["file"]): found["causes"] for found in report["found"]}


def suite(folder: Path, **files: str) -> Path:
    audit_suite.write(folder, {f"test_{name}.py": text for name, text in files.items()})
    return folder


def wait_until_trials(audit: Audit, count: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if len(audit.record["trials"]) >= count:
                return
        except (OSError, ValueError):
            pass
        assert time.monotonic() < deadline
        assert audit.process.poll() is None, audit.wait().err
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    root = tmp_path_factory.mktemp("whole")
    audit_suite.write(root)
    before = {path: path.read_bytes() for path in root.glob("tests/*.py")}
    audit = Audit(root, "--fix").wait()
    assert {path: path.read_bytes() for path in root.glob("tests/*.py")} == before, "the tests are left alone"
    return audit


def test_each_is_found_with_its_cause_and_nobody_else_is_accused(whole: Audit) -> None:
    assert whole.status == 1, whole.err
    assert whole.found == audit_suite.EXPECTED
    assert whole.record["report"]["fails"] == ["tests/test_n_fails.py::test_never_passes"]
    assert whole.record["report"]["pending"] == []
    assert whole.record["state"] == "finished"


def test_only_the_tests_that_differ_are_named(whole: Audit) -> None:
    tests = {found["file"]: found["tests"] for found in whole.record["report"]["found"]}
    assert tests["tests/test_k_colours.py"] == ["tests/test_k_colours.py::test_white"]
    assert tests["tests/test_b_crashes.py"] == ["tests/test_b_crashes.py::test_boom"]
    assert all("test_without_app" not in test for test in whole.record["tests"])


def test_the_table_shows_findings_causes_and_what_to_do(whole: Audit) -> None:
    for text in (
        "depends on prior state",
        "polluted",
        "flaky",
        "main_loop_crashed: RuntimeError: out of cheese",
        "::test_dark_mode",
        'tests/test_g_saves.py: pytestmark = pytest.mark.requires_prior_state("tests/test_c_opens.py")',
        "with 1 spare:",
        "without spares:",
    ):
        assert text in whole.out, whole.out
    assert "warm: 14 files in the suite's order" in whole.err


def test_every_finding_was_seen_twice_on_either_side(whole: Audit) -> None:
    seen = {found["file"]: found["seen"] for found in whole.record["report"]["found"]}
    assert seen["tests/test_g_saves.py"] == "fails alone 2x, passes after it 2x"
    assert seen["tests/test_k_colours.py"] == "passes alone 2x, fails after it 2x"


def test_the_cost_of_a_process_a_file_is_measured(whole: Audit) -> None:
    cost = whole.record["report"]["cost"]
    assert cost["with_spares"]["spares"] == 1
    assert cost["without_spares"]["starts"] == 13
    assert cost["without_spares"]["seconds"] > 0


@needs_git
def test_the_patch_applies_and_marks_what_depends(whole: Audit, tmp_path: Path) -> None:
    (patch,) = whole.folder.glob("*.patch")
    copy = tmp_path / "copy"
    copy.mkdir()
    audit_suite.write(copy)
    subprocess.run(["git", "apply", str(patch)], cwd=copy, check=True)
    mark = 'pytest.mark.requires_prior_state("tests/test_c_opens.py")'
    saves = (copy / "tests" / "test_g_saves.py").read_text()
    assert f'opened."""\n\nimport pytest\n\npytestmark = {mark}\n\n' in saves
    exports = (copy / "tests" / "test_i_exports.py").read_text()
    assert f"    @{mark}\n    @pytest.mark.parametrize" in exports
    changed = [
        path.name
        for path in copy.glob("tests/*.py")
        if path.read_text() != (whole.root / "tests" / path.name).read_text()
    ]
    assert sorted(changed) == ["test_g_saves.py", "test_i_exports.py"]
    for path in copy.glob("tests/*.py"):
        ast.parse(path.read_text())


@needs_git
def test_what_is_marked_as_the_patch_says_is_found_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "my suite"
    folder.mkdir()
    root = suite(folder, a=OPENS, b=SAVES)
    audit = Audit(root, f"--fix={tmp_path / 'the marks.patch'}").wait()
    assert audit.status == 1, audit.err
    (hint,) = (line for line in audit.err.splitlines() if "add them with: " in line)
    # As it stands there, pasted anywhere.
    subprocess.run(hint.partition("add them with: ")[2], shell=True, cwd="/", check=True)
    audit = Audit(root).wait()
    assert audit.status == 0, audit.out + audit.err
    assert audit.record["report"]["not_judged"] == ["tests/test_b.py::test_saves"]


EVIL = "\x1b[2Jcleared\x1b]0;title\x07\rover\u202ewritten\n::error::pwned"


def test_what_tests_and_apps_say_is_shown_as_text(tmp_path: Path) -> None:
    crashes = "import time\ndef test_crashes(app):\n    app.tell('crash')\n    time.sleep(60)\n"
    named = f"import pytest\n@pytest.mark.parametrize('x', [1], ids=[{EVIL!r}])\n"
    root = suite(tmp_path, a=OPENS, b=SAVES, c=crashes, d=named + SAVES.replace("(app)", "(app, x)"))
    app = root / "stateful_app.py"
    app.write_text(app.read_text().replace('"out of cheese"', repr(EVIL)))
    audit = Audit(root)
    out, err = audit.process.communicate(timeout=90)
    assert audit.process.returncode == 1, err
    for text in (out, err):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text), ascii(text)
        assert not re.search(r"^\s*::error::", text, re.MULTILINE), text
    assert r"RuntimeError: \x1b[2Jcleared" in out
    assert any("\x1b[2Jcleared" in found["said"] for found in audit.record["report"]["found"]), (
        "JSON has it as it was"
    )


@posix
@pytest.mark.parametrize("to", ["closed", "full"])
def test_a_patch_is_written_whoever_reads_what_is_shown(tmp_path: Path, to: str) -> None:
    if to == "full" and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    root = suite(tmp_path, a=OPENS, b=SAVES)
    reader, writer = os.pipe()
    os.close(reader)
    patch = tmp_path / "marks.patch"
    with open(writer, "w") if to == "closed" else Path("/dev/full").open("w") as out:  # noqa: PTH123 -- a descriptor
        command = [sys.executable, "-m", "livegui", "audit", "-C", str(root), f"--fix={patch}"]
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=90, check=False)
    assert "requires_prior_state" in patch.read_text(), done.stderr
    assert done.returncode == (1 if to == "closed" else 2), done.stderr


def test_a_fixture_that_outlives_the_process_is_laid_on_no_other_test(tmp_path: Path) -> None:
    root = suite(
        tmp_path,
        a="def test_a(old):\n    assert old.words() == []\n",
        b=READS,
        c="def test_c(old):\n    old.words()\n",
    )
    with (root / "tests" / "conftest.py").open("a") as file:
        file.write(
            "\n@pytest.fixture(scope='session')\ndef old(live_gui):\n    return App(live_gui.hook_port)\n"
        )
    audit = Audit(root).wait()
    assert audit.found == {("keeps_old_process", "tests/test_c.py"): []}, audit.err
    assert audit.record["report"]["marks"] == []


def test_a_clean_suite_is_nothing_to_report(tmp_path: Path) -> None:
    audit = Audit(suite(tmp_path, a=READS, b=READS), "--json").wait()
    assert audit.status == 0, audit.err
    assert json.loads(audit.out)["report"]["found"] == []
    assert (audit.folder / ".gitignore").read_text() == "*\n"


@posix
def test_an_interrupted_audit_says_what_it_knows_and_is_gone_on_with(tmp_path: Path) -> None:
    root = suite(tmp_path, a=OPENS, b=READS, c=READS, d=SAVES)
    first = Audit(root, "--jobs=1")
    wait_until_trials(first, 2)
    first.process.send_signal(signal.SIGINT)
    first.wait()
    assert first.status == 130, first.err
    assert "Not known yet (1):\n  tests/test_d.py::test_saves" in first.out
    assert "--resume" in first.err
    known = first.record
    assert known["state"] == "interrupted"

    second = Audit(root, "--jobs=1", "--resume").wait()
    assert second.status == 1, second.err
    assert second.found == {("depends_on_prior_state", "tests/test_d.py"): ["tests/test_a.py::test_opens"]}
    assert second.record["trials"][: len(known["trials"])] == known["trials"], "nothing is done twice"
    assert "warm" not in second.err

    third = Audit(root, "--resume").wait()
    assert third.status == 2
    assert "no unfinished audit" in third.err


@posix
def test_an_audit_of_what_has_changed_since_is_not_gone_on_with(tmp_path: Path) -> None:
    root = suite(tmp_path, a=OPENS, b=SAVES)
    audit = Audit(root, "--jobs=1")
    wait_until_trials(audit, 1)
    audit.process.send_signal(signal.SIGINT)
    assert audit.wait().status == 130, audit.err
    (root / "tests" / "test_b.py").write_text(READS)
    audit = Audit(root, "--resume").wait()
    assert audit.status == 2
    assert "have changed since" in audit.err


def test_an_audit_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    slow = "import os, pathlib, time\ndef test_slow(app, live_gui):\n    pathlib.Path('pids').write_text(f'{os.getpid()} {live_gui.pid}')\n    time.sleep(1)\n"
    root = suite(tmp_path, a=slow, b="def test_b(app):\n    open('b', 'w')\n")
    audit = Audit(root, "--jobs=1")
    pids = root / "pids"
    deadline = time.monotonic() + 30
    while not pids.exists() or not pids.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    audit.process.kill()
    audit.wait()
    while any(is_running(int(pid)) for pid in pids.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not (root / "b").exists()


def test_a_pytest_that_dies_is_followed_by_another_from_the_next_file(tmp_path: Path) -> None:
    dies = "import os\ndef test_dies(app):\n    if 'project' in app.words():\n        os._exit(3)\n"
    audit = Audit(suite(tmp_path, a=OPENS, b=dies, c=READS)).wait()
    assert audit.status == 1, audit.err
    assert audit.found == {("polluted", "tests/test_b.py"): ["tests/test_a.py::test_opens"]}
    assert "warm: tests/test_c.py in the suite's order" in audit.err


def test_a_test_that_never_ends_is_ended(tmp_path: Path) -> None:
    hangs = "import time\ndef test_hangs(app):\n    if 'project' in app.words():\n        time.sleep(600)\n"
    audit = Audit(suite(tmp_path, a=OPENS, b=hangs), f"--timeout={HANGS_AFTER}").wait()
    assert audit.found == {("polluted", "tests/test_b.py"): ["tests/test_a.py::test_opens"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def test_plain():\n    pass\n", "uses live_gui: there is nothing to audit"),
        ("def test_(:\n", "SyntaxError"),
    ],
    ids=["no live test", "does not compile"],
)
def test_a_suite_that_cannot_be_audited_is_refused(tmp_path: Path, text: str, said: str) -> None:
    audit = Audit(suite(tmp_path, a=text)).wait()
    assert audit.status == 2
    assert said in audit.err


def test_an_app_that_does_not_start_is_no_finding(tmp_path: Path) -> None:
    root = suite(tmp_path, a=READS)
    (root / "stateful_app.py").write_text("raise SystemExit('no licence')\n")
    audit = Audit(root).wait()
    assert audit.status == 2
    assert "the app could not be started" in audit.err


def test_a_wrong_root_is_named(tmp_path: Path) -> None:
    root = suite(tmp_path, a=READS)
    audit = Audit(root / "tests").wait()
    assert audit.status == 2
    assert f"the suite's root is {root}" in audit.err
    assert Audit(root / "nowhere").wait().status == 2
    assert Audit(root, "--repeat=0").wait().status == 64


def test_options_after_the_dashes_go_to_pytest(tmp_path: Path) -> None:
    root = suite(tmp_path, a=OPENS, b=SAVES, c="def test_other(app):\n    assert 0\n")
    audit = Audit(root, "tests/test_a.py", "tests/test_c.py", "--", "-k", "opens").wait()
    assert audit.status == 0, audit.err
    assert audit.record["tests"] == ["tests/test_a.py::test_opens"]


def test_an_outline_tells_where_marks_go() -> None:
    source = '"""Doc."""\nfrom __future__ import annotations\nimport pytest as pt\npytestmark: list = []\n\nclass TestA:\n    @pt.mark.x\n    def test_b(self): ...\n'
    found = _outline.outline(source)
    assert (found["head"], found["docstring"]) == (3, False)
    assert found["pytest"] == "pt"
    assert found["pytestmark"] == {"list": True, "empty": True, "start": [4, 19], "end": [4, 21]}
    assert found["tests"] == {"TestA::test_b": {"line": 7, "column": 4}}
