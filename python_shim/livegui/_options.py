"""The options: what there is, what each is by default, and how its value is read."""

from __future__ import annotations

import pytest

#: Each option's default, and what ``--help`` says of it.
OPTIONS = {
    "command": (
        "",
        "command line of the app under test; {hook_port}, {state_dir} and {python} are filled in",
    ),
    "scope": ("session", "how long one process is used: session, module or function"),
    "respawn": (
        "file",
        "when a degraded app is replaced: before the next file, before the next test, or never",
    ),
    "spares": ("0", "ready apps held in waiting, so that a fresh process costs no start; needs {hook_port}"),
    "callback_errors": (
        "fail",
        "what a callback that raises means: a note, to fail the running test, or to degrade the app",
    ),
    "max_respawns": ("3", "the same failure this often in a row ends respawning"),
    "ready_timeout": ("30", "seconds from start to ok"),
    "abort": ("true", "fail the running test the moment the app degrades: true or false"),
    "handover": (
        "respawn",
        "what follows if the main loop does not turn when a file begins: respawn, fail (the test that it "
        "follows fails as well), or off",
    ),
    "handover_timeout": ("500ms", "how long the main loop may take to turn then: seconds, or with a unit"),
    "left_open": (
        "respawn",
        "what follows if a file leaves a dialog or a nested loop open: note or respawn",
    ),
    "inject": (
        "auto",
        "watch an app that nobody wired: auto (one that starts no agent itself), true (any), or false",
    ),
    "kill_stale": ("false", "end an app that an earlier run left on our port: true or false"),
    "run_dir": (".livegui", "where run folders go; those of the last 10 sessions are kept"),
    "report": ("true", "write report.html into the run folder: true or false"),
    "screenshot": (
        "on_failure",
        "when a picture of the app is taken: on_failure, always (after every test) or never",
    ),
    "output_limit": ("16M", "what is kept of each output of one process, its head and its tail"),
}


def add(parser: pytest.Parser) -> None:
    """Make them known, for a configuration file and for the command line."""
    group = parser.getgroup("live_gui", "tests of one long-lived GUI app (livegui)")
    for name, (default, what) in OPTIONS.items():
        parser.addini(f"live_gui_{name}", f"{what} (default: {default or 'none'})", default=default)
        group.addoption(
            f"--live-gui-{name.replace('_', '-')}",
            dest=f"live_gui_{name}",
            default=None,
            metavar=name.upper(),
            help=what,
        )


def option(config: pytest.Config, name: str) -> str:
    given = config.getoption(f"live_gui_{name}")
    return str(config.getini(f"live_gui_{name}") if given is None else given)


def number(config: pytest.Config, name: str) -> float:
    text = option(config, name)
    try:
        return float(text)
    except ValueError:
        raise pytest.UsageError(f"live_gui_{name} = {text}: expected a number") from None


def count(config: pytest.Config, name: str) -> int:
    text = option(config, name)
    if not text.isascii() or not text.isdigit():
        raise pytest.UsageError(f"live_gui_{name} = {text}: expected a whole number, 0 or more")
    return int(text)


def flag(config: pytest.Config, name: str) -> bool:
    text = option(config, name)
    if text.lower() not in ("true", "false"):
        raise pytest.UsageError(f"live_gui_{name} = {text}: expected true or false")
    return text.lower() == "true"
