"""Text of an app is data, files of others are not believed, and nothing grows without bound."""

from __future__ import annotations

import gc
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from plain_suites import Suite

import livegui
from livegui._livegui import printable_line

LIVEGUI = [sys.executable, "-m", "livegui"]
#: Clears the screen, sets the title, overwrites the line, turns the direction, and orders GitHub about.
EVIL = "\x1b[2Jcleared\x1b]0;title\x07\rover\u202ewritten\x9b1m\n::error::pwned"
CLEARED = r"\x1b[2Jcleared\x1b]0;title\x07"
SHOWN = CLEARED + r"\rover\u202ewritten\x9b1m"
COMMAND = re.compile(r"^\s*::error::pwned", re.MULTILINE)


def assert_harmless(text: str) -> None:
    # Colours are pytest's own, and none is asked for.
    found = re.search("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", text.replace("\r\n", "\n"))
    assert found is None, repr(text[max(0, found.start() - 80) : found.end() + 80])
    assert COMMAND.search(text) is None, text


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("LIVEGUI", "GITHUB"))
    }
    done = subprocess.run(
        [*LIVEGUI, *words], cwd=cwd, env=inherited | environment, capture_output=True, timeout=60, check=False
    )
    # As it is: text mode would take a carriage return for a line's end.
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


EVIL_TEST = f"""
import time

def test_culprit(app):
    app.do("crash " + {EVIL!r})
    time.sleep(60)

def test_victim(app):
    pass
"""


def test_a_crash_text_reaches_the_terminal_as_text(suite: Suite) -> None:
    files = {"test_a.py": EVIL_TEST, "test_b.py": "def test_next(app):\n    pass\n"}
    result = suite(files, "--tb=short")
    text = result.stdout.str() + result.stderr.str()
    # What pytest shows of the test's own source is the test's own doing; the app's text is an error's.
    told = "\n".join(line for line in text.splitlines() if "app.do" not in line)
    assert_harmless(told)
    assert CLEARED in told
    assert r"\x3a:error::pwned" in told


@pytest.mark.parametrize("github", ["", "true"])
def test_livegui_run_shows_it_as_text(suite: Suite, pytester: pytest.Pytester, github: str) -> None:
    suite({"test_a.py": EVIL_TEST})
    (pytester.path / "pyproject.toml").write_text('[tool.livegui.batches.one]\npaths = ["test_a.py"]\n')
    done = run("run", cwd=pytester.path, GITHUB_ACTIONS=github)
    assert done.returncode == 1, done.stderr
    assert_harmless(done.stdout + done.stderr)
    assert CLEARED in done.stdout
    assert ("::error file=test_a.py" in done.stdout) == bool(github)


def test_livegui_health_and_log_show_it_as_text_and_json_keeps_it(
    agent: livegui.Agent, tmp_path: Path
) -> None:
    agent.degrade(EVIL)
    agent.health()
    shown = run("health", str(tmp_path), cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (1, "")
    assert_harmless(shown.stdout)
    assert SHOWN + r"\n\x3a:error::pwned" in shown.stdout, "one line"
    json_shown = run("health", "--json", str(tmp_path), cwd=tmp_path)
    assert json.loads(json_shown.stdout)["reasons"][0]["message"] == EVIL
    agent.stop()
    log = run("log", str(tmp_path), cwd=tmp_path)
    assert_harmless(log.stdout)
    assert SHOWN in log.stdout


def test_health_and_log_show_each_thing_on_one_line(tmp_path: Path) -> None:
    """What is no message comes from the app too: names, and the places where exceptions were caught."""
    named = "reader\n::error::pwned"
    agent = livegui.start(tmp_path.name, run_dir=tmp_path)
    try:
        agent.beat()
        pool = ThreadPoolExecutor(1)
        agent.watch_executor(pool, named)
        pool.shutdown()
        caught = compile("raise OSError('two\\n::error::pwned')", "a\n::error::pwned.py", "exec")
        try:
            exec(caught)
        except OSError as error:
            agent.record_exception(error)
        agent.health()
        shown = run("health", str(tmp_path), cwd=tmp_path)
        assert r"executor_shutdown [reader\n\x3a:error::pwned]" in shown.stdout.replace(r"\n::", r"\n\x3a:")
        assert_harmless(shown.stdout)
        assert len(shown.stdout.splitlines()) == 3, shown.stdout
    finally:
        agent.stop()
    log = run("log", str(tmp_path), cwd=tmp_path)
    assert_harmless(log.stdout)
    (line,) = (line for line in log.stdout.splitlines() if "OSError" in line)
    assert "pwned.py" in line


def test_text_with_a_lone_surrogate_is_told(agent: livegui.Agent) -> None:
    """As it comes with a file name that is no UTF-8."""
    odd = "caf\udce9"
    agent.degrade(f"cannot open {odd}", code="app_reported")
    agent.report(OSError(f"cannot open {odd}"))
    agent.tell_open([odd])
    agent.watch_executor(ThreadPoolExecutor(1), odd)
    agent.watch_thread(threading.Thread(name=odd))
    with agent.paused(odd):
        health = agent.health()
    assert health["reasons"][0]["message"] == r"cannot open caf\udce9"
    assert health["checks"]["main_loop"]["paused"]["what"] == r"caf\udce9"
    assert health["checks"]["executors"][0]["name"] == r"caf\udce9"
    with pytest.raises(ValueError, match="expected 1 to 64 characters"):
        agent.clear(odd)
    assert printable_line(odd) == r"caf\udce9"


def test_text_on_one_line() -> None:
    assert printable_line("a\nb\x1b[0m") == r"a\nb\x1b[0m"
    assert printable_line("日本語 é\t::x") == "日本語 é\t::x"


def test_the_plugin_prints_through_one_function() -> None:
    source = Path(livegui.__file__).parent
    for file in source.rglob("*.py"):
        if file.name == "_outline.py":
            continue  # JSON, for the native side
        text = file.read_text()
        assert "print(" not in text.replace("printable_line(", ""), file
        for line in text.splitlines():
            if "write_line(" in line:
                own_words = "still running" in line
                assert "printable_line(" in line or own_words, f"{file}: {line}"


@pytest.fixture
def asked() -> Iterator[tuple[int, list[str]]]:
    """A server that no livegui started, on every address of this machine, and what it is asked."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, requests
        server.shutdown()


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    folder = tmp_path / "livegui"
    folder.mkdir(mode=0o700)
    return folder


posix = pytest.mark.skipif(os.name != "posix", reason="owners, links and pipes")


@posix
def test_health_believes_no_file_of_others(
    runtime: Path, tmp_path: Path, asked: tuple[int, list[str]]
) -> None:
    port, requests = asked

    def plant(name: str, **changes: object) -> None:
        discovery = {
            "schema": "livegui/agent/1",
            "pid": os.getpid(),
            "instance": "x",
            "url": f"http://127.0.0.1:{port}",
            "token": "secret-token",
            "journal": None,
        }
        (runtime / name).write_text(json.dumps(discovery | changes))

    plant("1.json", url=f"http://localhost:{port}")
    plant("2.json", url=f"http://127.0.0.1:{port}@127.0.0.1:{port}/")
    plant("3.json", url=f"http://{os.uname().nodename}:{port}")
    plant("4.json", schema="somebody/else/1")
    os.mkfifo(runtime / "5.json")
    plant("6.txt")
    (runtime / "6.json").symlink_to(runtime / "6.txt")
    (runtime / "7.json").write_text("x" * 100_000)
    if os.geteuid() == 0:
        plant("8.json")
        os.chown(runtime / "8.json", 65534, 65534)
    done = run("health", cwd=tmp_path, XDG_RUNTIME_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "no app of this user answers" in done.stderr
    assert requests == []


def test_health_asks_nobody_for_an_app_that_is_gone_and_believes_no_other_agent(
    runtime: Path, tmp_path: Path, agent: livegui.Agent
) -> None:
    """Who has the port by now, if it is another app, is not to learn the token, nor to answer for it."""
    tokens: list[str | None] = []
    agent.health()
    answer = json.dumps(agent.health()).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        discovery = {
            "schema": "livegui/agent/1",
            "pid": 2**31 - 2,
            "instance": "gone",
            "url": f"http://127.0.0.1:{server.server_port}",
            "token": "secret-token",
            "journal": None,
        }
        gone, named = runtime / "1.json", tmp_path / "named.json"
        for file in (gone, named):
            file.write_text(json.dumps(discovery))
        done = run("health", cwd=tmp_path, XDG_RUNTIME_DIR=str(tmp_path))
        assert "no app of this user answers" in done.stderr
        assert not gone.exists()
        done = run("health", str(named), cwd=tmp_path)
        assert done.returncode == 2
        assert "the app is gone" in done.stderr
        assert tokens == []
        named.write_text(json.dumps(discovery | {"pid": os.getpid()}))
        done = run("health", str(named), cwd=tmp_path)
        assert done.returncode == 2
        assert "the agent of another app answers there" in done.stderr
        server.shutdown()


@posix
def test_a_pipe_is_no_file_to_read_and_is_not_waited_for(suite: Suite, pytester: pytest.Pytester) -> None:
    planted = pytester.path / ".livegui" / "planted"
    planted.mkdir(parents=True)
    for name in ("run.json", "heartbeat.jsonl", "heartbeat.jsonl.1"):
        os.mkfifo(planted / name)
    done = run("log", str(planted), cwd=pytester.path)
    assert done.returncode == 2
    assert "it is no regular file" in done.stderr
    done = run("log", str(planted / "heartbeat.jsonl"), "--svg", "x.svg", cwd=pytester.path)
    assert done.returncode == 2
    suite({"test_a.py": "def test_it(live_gui):\n    pass\n"}).assert_outcomes(passed=1)


def test_the_next_app_sweeps_what_one_that_died_has_left(runtime: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    environment["XDG_RUNTIME_DIR"] = str(tmp_path)
    for end in ("os._exit(0)", "agent.stop()"):
        code = f"import livegui, os\nagent = livegui.start('dies')\nagent.beat()\n{end}"
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(runtime.iterdir()) == []


def test_an_app_that_died_is_left_out_and_swept(runtime: Path, tmp_path: Path) -> None:
    code = "import livegui, os, sys\nagent = livegui.start('dies')\nagent.beat()\nos._exit(0)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    environment["XDG_RUNTIME_DIR"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert len(list(runtime.glob("*.json"))) == 1
    lives = livegui.start("lives", run_dir=tmp_path / "other")
    lives.beat()
    try:
        (runtime / "lives.json").write_bytes((tmp_path / "other" / "agent.json").read_bytes())
        done = run("health", cwd=tmp_path, XDG_RUNTIME_DIR=str(tmp_path))
        assert (done.returncode, done.stderr) == (0, "")
        assert "lives (pid" in done.stdout
        assert [file.name for file in runtime.glob("*.json")] == ["lives.json"]
    finally:
        lives.stop()


@posix
@pytest.mark.parametrize("how", ["open", "link", "foreign"])
def test_a_runtime_folder_that_is_not_ours_alone_is_not_used(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "livegui"
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    if how == "open":
        folder.mkdir()
        folder.chmod(0o777)
    elif how == "link":
        folder.symlink_to(real)
    else:
        if os.geteuid() != 0:
            pytest.skip("takes root, to make a folder of another user")
        folder.mkdir(mode=0o700)
        os.chown(folder, 65534, 65534)
    temp = tmp_path / "temp"
    temp.mkdir()
    done = started(XDG_RUNTIME_DIR=str(tmp_path), TMPDIR=str(temp))
    assert (done.returncode, done.stderr) == (0, ""), "an app starts, whatever is planted there"
    remark = json.loads(done.stdout)["remark"]
    (private,) = temp.iterdir()
    assert remark.startswith(f"{folder} is not used: ")
    assert remark.endswith(f"; {private} is used instead")
    assert private.stat().st_mode & 0o777 == 0o700
    (journal,) = private.iterdir()
    assert json.loads(journal.read_text().splitlines()[0])["runtime_dir"] == remark
    assert list(folder.iterdir()) == list(real.iterdir()) == [], "nothing was written"
    listed = run("health", cwd=tmp_path, XDG_RUNTIME_DIR=str(tmp_path))
    assert listed.returncode == 2
    assert "is not used" in listed.stderr


#: Starts an agent with a journal, and says what became of its files.
STARTS = """
import json, livegui, os
agent = livegui.start('x', journal=True)
files = {name for folder in [os.environ["XDG_RUNTIME_DIR"], os.environ["TMPDIR"]] for name in os.listdir(folder)}
print(json.dumps({"remark": agent.health()["observer"]["runtime_dir"], "files": sorted(files)}))
agent.stop()
"""


def started(**environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    return subprocess.run(
        [sys.executable, "-c", STARTS],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@posix
def test_a_runtime_folder_that_is_named_and_not_there_is_as_if_none_were_named(tmp_path: Path) -> None:
    code = STARTS.replace('os.environ["XDG_RUNTIME_DIR"], ', "")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    environment |= {"XDG_RUNTIME_DIR": str(tmp_path / "nowhere"), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"remark": "", "files": [f"livegui-{os.getuid()}"]}
    listed = run("health", cwd=tmp_path, XDG_RUNTIME_DIR=str(tmp_path / "nowhere"), TMPDIR=str(tmp_path))
    assert f"({tmp_path}/livegui-{os.getuid()} was looked at)" in listed.stderr


@posix
def test_an_app_starts_where_there_is_no_place_for_its_files_at_all(tmp_path: Path) -> None:
    planted = tmp_path / "livegui"
    planted.write_text("")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    environment = {"XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": str(planted)}
    code = "import livegui\nprint(livegui.start('x').health()['observer']['runtime_dir'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "nor is there another place" in done.stdout


@posix
@pytest.mark.parametrize("how", ["symbolic", "hard"])
def test_a_journal_is_not_written_through_a_planted_link(tmp_path: Path, how: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    if how == "symbolic":
        (tmp_path / "heartbeat.jsonl").symlink_to(precious)
    else:
        (tmp_path / "heartbeat.jsonl").hardlink_to(precious)
    agent = livegui.start("x", run_dir=tmp_path)
    try:
        agent.beat()
        assert agent.health()["status"] == "ok"
    finally:
        agent.stop()
    assert precious.read_text() == "mine"


@posix
def test_list_writes_through_no_planted_link(pytester: pytest.Pytester) -> None:
    target = pytester.path / "target"
    temp = pytester.mkdir("shared")
    (pytester.path / "pyproject.toml").write_text('[tool.livegui.batches.unit]\npaths = ["test_a.py"]\n')
    (pytester.path / "test_a.py").write_text("def test_it():\n    pass\n")
    # The name could once be foretold: every pid that the command may get is planted.
    first = int(Path("/proc/loadavg").read_text().split()[-1]) if sys.platform == "linux" else os.getpid()
    for pid in range(first, first + 100):
        folder = temp / f"livegui-list-{pid}" / "unit"
        folder.mkdir(parents=True)
        (folder / "stdout.log").symlink_to(target)
    done = run("run", "--list", cwd=pytester.path, TMPDIR=str(temp))
    assert done.returncode == 0, done.stderr
    assert "1  test_a.py" in done.stdout
    assert not target.exists()


def test_an_app_that_writes_without_end_keeps_head_and_tail(suite: Suite, pytester: pytest.Pytester) -> None:
    app = """
import sys, threading, time, runpy
def flood():
    import sys, time
    for number in range(2000):
        print(f"line {number} " + "x" * 1000)
        if number % 100 == 0:
            sys.stdout.flush()
            time.sleep(0.05)
    print("the end", flush=True)
threading.Thread(target=flood).start()
runpy.run_path("plain_app.py", run_name="__main__")
"""
    test = """
import time

def test_it(live_gui):
    out = live_gui.generation_folder / "stdout.log"
    deadline = time.monotonic() + 30
    while "the end" not in out.read_text() or out.stat().st_size > 100_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    text = out.read_text()
    assert text.startswith(("line 0", "this is standard output")), text[:100]
    assert "bytes were cut out here]" in text
"""
    ini = "live_gui_command = {python} flood.py\nlive_gui_output_limit = 100K"
    suite({"flood.py": app, "test_a.py": test}, ini=ini).assert_outcomes(passed=1)
    del pytester


@posix
def test_output_is_bounded_before_there_is_an_agent_too(suite: Suite, pytester: pytest.Pytester) -> None:
    ini = "live_gui_command = yes\nlive_gui_output_limit = 100K\nlive_gui_ready_timeout = 2"
    result = suite({"test_a.py": "def test_it(live_gui):\n    pass\n"}, ini=ini)
    result.stdout.fnmatch_lines(["*was not ready within 2.0 s*"])
    (output,) = pytester.path.glob(".livegui/*/gen-1/stdout.log")
    assert output.stat().st_size <= 100 * 1024
    assert "bytes were cut out here]" in output.read_text()


def test_a_bad_output_limit_is_refused_by_name(suite: Suite) -> None:
    result = suite({"test_a.py": "def test_it(live_gui):\n    pass\n"}, "--live-gui-output-limit=lots")
    result.stdout.fnmatch_lines(["*live_gui_output_limit = lots: expected bytes*"])


def test_an_app_with_a_pool_and_a_thread_per_document(agent: livegui.Agent) -> None:
    for number in range(400):
        pool = ThreadPoolExecutor(1)
        agent.watch_executor(pool, f"document {number}")
        agent.expect_shutdown(pool)
        pool.shutdown()
    health = agent.health()
    assert health["status"] == "ok"
    assert len(health["checks"]["executors"]) <= 256
    assert any(one["name"] == "document 399" for one in health["checks"]["executors"])
    pools = [ThreadPoolExecutor(1) for _ in range(257)]
    for number, pool in enumerate(pools[1:]):
        agent.watch_executor(pool, f"held {number}")
    with pytest.raises(ValueError, match="at most 256"):
        agent.watch_executor(pools[0], "one more")


def test_what_was_collected_takes_no_place(agent: livegui.Agent) -> None:
    assert agent._canary is not None
    agent._canary.stop()  # which would notice, a few times a second
    for number in range(400):
        agent.watch_executor(ThreadPoolExecutor(1), f"document {number}")
        agent.watch_thread(threading.Thread(), f"reader {number}")
        if number % 50 == 0:
            gc.collect()
    names = [reason["component"] for reason in agent.health()["reasons"]]
    assert "document 0" in names, "that it is gone is told"


def test_a_watched_name_counts_characters_and_a_threads_own_always_will_do(agent: livegui.Agent) -> None:
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "界" * 200)
    with pytest.raises(ValueError, match="at most 200 characters"):
        agent.watch_executor(pool, "界" * 201)
    threads = [threading.Thread(name="界" * 120), threading.Thread(name="é" * 300)]
    for thread in threads:
        agent.watch_thread(thread)
    health = agent.health()
    assert [one["name"] for one in health["checks"]["threads"]] == ["界" * 120, "é" * 200]


def test_the_last_ten_sessions_are_kept_not_the_last_ten_workers(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_TESTRUNUID", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    test = "import pytest\n@pytest.mark.parametrize('n', range(3))\ndef test_it(live_gui, n):\n    pass\n"
    for _ in range(5):
        suite({"test_a.py": test}, "-n", "3", "--dist", "load")
    records = [json.loads(path.read_text()) for path in pytester.path.glob(".livegui/*/run.json")]
    assert len(records) > 10
    assert len({record["session"] for record in records}) == 5


def test_a_broken_pipe_changes_nothing_about_the_exit_status(agent: livegui.Agent, tmp_path: Path) -> None:
    agent.degrade("unwell")
    agent.health()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*LIVEGUI, "health", str(tmp_path)], stdout=writer, check=False)
    os.close(writer)
    assert done.returncode == 1


def test_a_name_counts_characters_and_the_default_one_never_fails(tmp_path: Path) -> None:
    agent = livegui.start("界" * 30, run_dir=tmp_path)
    try:
        assert agent.health()["app"] == "界" * 30
    finally:
        agent.stop()
    code = "import sys, livegui\nsys.argv[0] = {argv}\nlivegui.start(run_dir={folder!r}).stop()"
    for argv in ("'x' * 300", "'a\\x07b.py'", "'\\udcff.py'", "''"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(argv=argv, folder=str(tmp_path / "other"))],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), argv


def test_an_abort_that_cannot_be_installed_is_remarked(pytester: pytest.Pytester, suite: Suite) -> None:
    suite({"test_a.py": "def test_it(live_gui):\n    pass\n"})
    code = """
import sys, threading, pytest
threading.Thread(target=lambda: pytest.main(["-p", "no:cacheprovider", "test_a.py"])).start()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=pytester.path, capture_output=True, text=True, check=False
    )
    assert "1 passed" in done.stdout
    assert "live_gui_abort has no effect: pytest does not run on the main thread" in done.stdout


def test_a_test_file_whose_name_begins_like_ours_keeps_its_traceback(suite: Suite) -> None:
    test = """
def test_culprit(app):
    app.do("crash boom")
    wait_for_ever()

def wait_for_ever():
    import time
    time.sleep(60)
"""
    result = suite({"livegui_smoke.py": test}, "livegui_smoke.py")
    result.stdout.fnmatch_lines(["*livegui_smoke.py:*: GuiDegraded"])
