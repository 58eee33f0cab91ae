"""One suite on several workers, and on several hosts: the same outcomes as on one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from plain_suites import CRASH_IN_SECOND_OF_THREE, PASSES, Suite, wait_until_gone

FILES = {
    "test_a.py": CRASH_IN_SECOND_OF_THREE,
    "test_b.py": CRASH_IN_SECOND_OF_THREE.replace("crash boom", "exit 3"),
    "test_c.py": PASSES,
    "test_d.py": CRASH_IN_SECOND_OF_THREE.replace("crash boom", "degrade no licence"),
    "test_e.py": "import pytest\n\n@pytest.mark.skip(reason='not today')\ndef test_skipped(app):\n    pass\n",
    "test_f.py": CRASH_IN_SECOND_OF_THREE,
    "test_g.py": PASSES + "\ndef test_fails_of_itself(app):\n    assert False\n",
}


def outcomes(report: Path) -> set[tuple[str, str, str | None, str]]:
    """Of each test: its name, how it ended, who is to blame, and what it said, but for pids and places."""
    found = set()
    for case in ET.parse(report).iter("testcase"):
        bad = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        properties = {p.get("name"): p.get("value") for p in case.iter("property")}
        said = "" if bad is None else (bad.get("message") or "").partition("(generation")[0].splitlines()[0]
        outcome = "passed" if bad is None else bad.tag
        found.add(
            (
                f"{case.get('classname')}::{case.get('name')}",
                outcome,
                properties.get("live_gui_culprit"),
                said,
            )
        )
    return found


def runs(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(record.read_text()) for record in (folder / ".livegui").glob("*/run.json")]


def assert_told(result: pytest.RunResult, records: list[dict[str, Any]]) -> None:
    """The summary tells every note of every worker, and nothing else."""
    notes = [
        f"{note['file']}  fresh process (generation {note['generation']}): {note['because']}"
        for record in records
        for note in record["notes"]
    ]
    told = [line for line in result.stdout.lines if "  fresh process (generation " in line]
    assert sorted(told) == sorted(notes)
    assert result.stdout.str().count("- live_gui -") == 1


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_suite_that_crashes_ends_the_same_on_any_number_of_workers(
    suite: Suite, pytester: pytest.Pytester, workers: int
) -> None:
    suite(FILES, "--junitxml=alone.xml")
    shutil.rmtree(pytester.path / ".livegui")
    result = suite(FILES, f"-n{workers}", "--dist=loadfile", "--junitxml=workers.xml")
    alone = outcomes(pytester.path / "alone.xml")
    assert len(alone) == 4 * 3 + 1 + 1 + 2
    assert outcomes(pytester.path / "workers.xml") == alone
    records = runs(pytester.path)
    assert len(records) == workers
    assert_told(result, records)
    wait_until_gone(*(generation["pid"] for record in records for generation in record["generations"]))


# --- two hosts ------------------------------------------------------------------------------------


@dataclass
class Host:
    """A network namespace: what listens on its loopback address nobody else reaches."""

    name: str
    address: str

    def command(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *words]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces are Linux's, and root's to make")
    near, far = (Host(f"lg{os.getpid()}{end}", f"10.213.77.{end}") for end in (1, 2))
    try:
        try:
            ip("netns", "add", near.name)
            ip("netns", "add", far.name)
            ip("link", "add", near.name, "netns", near.name, "type", "veth",
               "peer", "name", far.name, "netns", far.name)  # fmt: skip
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
        for host in (near, far):
            ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", host.name)
            ip("-n", host.name, "link", "set", "lo", "up")
            ip("-n", host.name, "link", "set", host.name, "up")
        yield near, far
    finally:
        for host in (near, far):
            subprocess.run(["ip", "netns", "delete", host.name], check=False, capture_output=True)


#: As docs/scaling.md says. execnet's own command sometimes runs pytest on another thread than the main one.
SERVER = """
import execnet.script.socketserver as server
from execnet.gateway_base import get_execmodel
server.execmodel = get_execmodel("main_thread_only")
server.startserver(server.bind_and_listen({!r}, server.execmodel), loop=True)
"""


@pytest.fixture
def serve(hosts: tuple[Host, Host]) -> Iterator[Callable[[], int]]:
    """Start execnet's socket server on the far host; returns its port."""
    server: list[subprocess.Popen[str]] = []

    def start() -> int:
        command = hosts[1].command(sys.executable, "-u", "-c", SERVER.format(f"{hosts[1].address}:0"))
        server.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert server[0].stdout is not None
        entering = server[0].stdout.readline()  # … Entering Accept loop ('10.213.77.2', 43821)
        return int(entering.rstrip(")\n").rpartition(" ")[2])

    yield start
    for process in server:
        process.kill()
        process.communicate()


NOTES_ITS_HOST = """
import os, pytest

def net(pid):
    return os.readlink(f"/proc/{pid}/ns/net")

@pytest.fixture(autouse=True)
def same_host(app, request):
    request.node.user_properties.append(("host", net("self")))
    assert net(app.live_gui.pid) == net("self")
"""


def test_a_suite_on_two_hosts_ends_as_on_one(
    suite: Suite,
    pytester: pytest.Pytester,
    hosts: tuple[Host, Host],
    serve: Callable[[], int],
    tmp_path: Path,
) -> None:
    files = {name: NOTES_ITS_HOST + text for name, text in FILES.items()}
    suite(files, "--junitxml=alone.xml")
    shutil.rmtree(pytester.path / ".livegui")
    far = tmp_path / "far"
    shutil.copytree(pytester.path, far)
    spec = f"socket={hosts[1].address}:{serve()}//chdir={far}"
    words = [
        "-p",
        "no:cacheprovider",
        "--dist=loadfile",
        "--junitxml=hosts.xml",
        "--tx=popen",
        f"--tx={spec}",
    ]
    result = pytester.run(*hosts[0].command(sys.executable, "-m", "pytest", *words), timeout=60)
    assert outcomes(pytester.path / "hosts.xml") == outcomes(pytester.path / "alone.xml")
    properties = ET.parse(pytester.path / "hosts.xml").iter("property")
    assert len({p.get("value") for p in properties if p.get("name") == "host"}) == 2
    records = [*runs(pytester.path), *runs(far)]
    assert len(records) == 2
    assert_told(result, records)
    wait_until_gone(*(generation["pid"] for record in records for generation in record["generations"]))
