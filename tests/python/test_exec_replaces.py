"""``os.exec*`` of an unchanged app that is watched: its errors are as ever, and the next program is watched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from executing import executed, health
from test_guest import beats

pytestmark = pytest.mark.skipif(os.name != "posix", reason="exec")

WRONG = """
import asyncio, inspect, os
TRUE = "/bin/true"
class Odd:
    def keys(self):
        raise OSError("odd")
async def main():
    for function, arguments, options in [
        (os.execve, (TRUE, ["true"], None), {}),
        (os.execve, (TRUE, ["true"], 5), {}),
        (os.execve, (TRUE, ["true"], ["A"]), {}),
        (os.execve, (TRUE, ["true"], Odd()), {}),
        (os.execve, (TRUE, ["true"], {"A": 5}), {}),
        (os.execve, (TRUE, ["true"], {"A=": "b"}), {}),
        (os.execve, (TRUE, [], {}), {}),
        (os.execve, ("/nope", ["true"], {}), {}),
        (os.execve, ("/nope", ["true"]), {"env": {}}),
        (os.execve, (TRUE,), {}),
        (os.execve, (TRUE, ["true"], {}, 4), {}),
        (os.execv, ("/nope", ["x"]), {}),
        (os.execv, (TRUE, []), {}),
        (os.execv, (), {}),
        (os.execv, (TRUE,), {"args": ["x"]}),
        (os.execvpe, ("no-such-program", ["x"], {"PATH": "/bin"}), {}),
    ]:
        before = dict(os.environ)
        try:
            function(*arguments, **options)
        except Exception as error:
            print(type(error).__name__, error)
        print(dict(os.environ) == before)
    print(inspect.signature(os.execve), inspect.signature(os.execv), os.execv.__doc__)
asyncio.run(main())
"""


def test_what_cannot_take_the_place_of_the_app_fails_as_ever(tmp_path: Path) -> None:
    with executed(WRONG, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    plain = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (out, err) == (plain.stdout, plain.stderr)
    assert "environment must be a mapping object" in out


OWN_ENVIRONMENT = """
import asyncio, os, sys
os.environb[b"ODD"] = b"\\xfe"
async def main():
    if len(sys.argv) == 1:
        environment = ENVIRONMENT
        os.execve(sys.executable, [sys.executable, sys.argv[0], "again"], environment)
    assert os.environ.get("MINE") == "1"
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "environment", ['{"MINE": "1"}', 'os.environb | {b"MINE": b"1"}', '{b"MINE": "1", "ODD": b"\\xfe"}']
)
def test_a_program_with_an_environment_of_its_own_reports_to_the_same_place(
    environment: str, tmp_path: Path
) -> None:
    script = OWN_ENVIRONMENT.replace("ENVIRONMENT", environment)
    with executed(script, tmp_path, "--name", "mine"):
        assert health(tmp_path, beats)["app"] == "mine"
