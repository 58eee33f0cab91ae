"""``livegui targets``: what Prometheus is told of the apps of this user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="XDG_RUNTIME_DIR and modes of files")

APP = "import livegui, sys; agent = livegui.start(sys.argv[1]); agent.beat(); print(agent.url, flush=True); sys.stdin.read()"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    return kept | {"XDG_RUNTIME_DIR": str(runtime)}


class Start:
    """Starts apps, and ends them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.apps: dict[str, subprocess.Popen[str]] = {}

    def __call__(self, name: str, token: str) -> str:
        """Start an app; returns the address of its agent."""
        self.apps[name] = app = subprocess.Popen(
            [sys.executable, "-c", APP, name],
            env=self.environment | {"LIVEGUI_TOKEN": token},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert app.stdout is not None
        return app.stdout.readline().strip().removeprefix("http://")

    def end(self, name: str) -> None:
        self.apps.pop(name).communicate()


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    apps = Start(environment)
    yield apps
    for name in list(apps.apps):
        apps.end(name)


def targets(environment: dict[str, str], folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "livegui", "targets", str(folder), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_apps_that_share_a_token_are_listed_and_the_token_is_in_a_file_of_its_own(
    environment: dict[str, str], start: Start, tmp_path: Path
) -> None:
    addresses = {start("one", "shared-token"): "one", start("two", "shared-token"): "two"}
    done = targets(environment, tmp_path)
    assert done.returncode == 0, done.stderr
    listed = json.loads((tmp_path / "targets.json").read_text())
    assert {group["targets"][0]: group["labels"]["app"] for group in listed} == addresses
    assert (tmp_path / "token").read_text() == "shared-token"
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("token", "targets.json")} == {0o600}


def test_an_app_with_another_token_is_left_out_and_named(
    environment: dict[str, str], start: Start, tmp_path: Path
) -> None:
    start("one", "shared-token")
    start("two", "a-token-of-its-own")
    done = targets(environment, tmp_path, "--token", "shared-token")
    assert done.returncode == 1
    assert "two (pid " in done.stderr
    assert "LIVEGUI_TOKEN" in done.stderr
    (group,) = json.loads((tmp_path / "targets.json").read_text())
    assert group["labels"]["app"] == "one"
    done = targets(environment, tmp_path, "--token-in-url")
    assert done.returncode == 0
    tokens = {
        group["labels"]["__param_token"] for group in json.loads((tmp_path / "targets.json").read_text())
    }
    assert tokens == {"shared-token", "a-token-of-its-own"}


def test_without_an_app_the_list_is_empty_and_a_folder_that_is_not_there_is_named(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "targets.json").write_text('[{"targets": ["127.0.0.1:1"], "labels": {}}]')
    assert targets(environment, tmp_path).returncode == 0
    assert json.loads((tmp_path / "targets.json").read_text()) == []
    done = targets(environment, tmp_path / "missing")
    assert done.returncode == 2
    assert "missing" in done.stderr


def test_access_that_somebody_gave_to_a_file_stays(
    environment: dict[str, str], start: Start, tmp_path: Path
) -> None:
    start("one", "shared-token")
    targets(environment, tmp_path)
    (tmp_path / "targets.json").chmod(0o640)
    start("two", "shared-token")
    targets(environment, tmp_path)
    assert len(json.loads((tmp_path / "targets.json").read_text())) == 2
    assert (tmp_path / "targets.json").stat().st_mode & 0o777 == 0o640


def listed(folder: Path) -> set[str]:
    """The names of the apps in the file that Prometheus reads; a file that is not whole is an error."""
    file = folder / "targets.json"
    return {group["labels"]["app"] for group in json.loads(file.read_text())} if file.exists() else set()


def wait_until_listed(folder: Path, names: set[str]) -> None:
    deadline = time.monotonic() + 60
    while listed(folder) != names:
        assert time.monotonic() < deadline, f"listed are {listed(folder)}, not {names}"
        time.sleep(0.05)


def test_with_every_the_list_follows_the_apps_that_come_and_go_until_it_is_interrupted(
    environment: dict[str, str], start: Start, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "livegui", "targets", str(tmp_path), "--every", "1"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as writing:
        try:
            wait_until_listed(tmp_path, set())
            start("one", "shared-token")
            wait_until_listed(tmp_path, {"one"})
            start("two", "shared-token")
            wait_until_listed(tmp_path, {"one", "two"})
            start.end("one")
            wait_until_listed(tmp_path, {"two"})
            assert writing.poll() is None
            writing.send_signal(signal.SIGINT)
            _, said = writing.communicate(timeout=60)
        finally:
            writing.kill()
    assert writing.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in said
    assert listed(tmp_path) == {"two"}
