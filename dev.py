#!/usr/bin/env python3
"""Build, test and check a clone of livegui, on Linux, macOS and Windows.

    python3 dev.py demo     show what livegui does, on a real Dear ImGui app (the first run builds livegui)
    python3 dev.py test     run the Rust and the Python tests
    python3 dev.py lint     run rustfmt, clippy, ruff, mypy --strict and stubtest
    python3 dev.py fmt      format the code
    python3 dev.py bench    run the benchmarks, and compare with similar tools where there are any
    python3 dev.py chaos    try faults under every setting on a real app (--short, --rounds N)
    python3 dev.py soak     look for false alarms and leaks, for as long as you like (--minutes N, --short)
    python3 dev.py exits    exit an interpreter a thousand times under load, on every supported Python found
    python3 dev.py apps     watch other people's unchanged apps, and popular libraries (half an hour)
    python3 dev.py windows  run the tests on a Windows CPython under wine, on Debian
    python3 dev.py cross    run cargo check for macOS and Windows, on Debian
    python3 dev.py system   install Xvfb, Chromium, tmux, wxPython and GTK for the tests, on Debian as root

You need python3 (3.10 or newer) and cargo; dev.py installs everything else into .venv.
You can add arguments after some commands: `test` and `windows` pass them to pytest, `bench` takes names of
benchmarks, `exits` takes interpreters, `apps` takes names of apps, `cross` takes targets,
`chaos` and `soak` take options (`dev.py chaos --help`).
`test freezes` and `test in_flight` run a whole matrix; `test` alone runs a part of each.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import venv
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
#: What `.venv` was last made from. It is made again only if that changed.
STAMP = VENV / "livegui-dev.json"
#: Tests that run completely only if they are named.
MATRICES = {"freezes": "tests/python/test_freezes.py", "in_flight": "tests/python/test_in_flight.py"}
#: Programs that some tests start, and the Debian packages that have them.
SYSTEM = {
    "Xvfb": "xvfb",
    "xauth": "xauth",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "tmux": "tmux",
}
#: What some tests import in the system's own Python, and the Debian packages that have it.
SYSTEM_PYTHON = "/usr/bin/python3"
SYSTEM_IMPORTS = {
    "import wx": "python3-wxgtk4.0",
    "import gi": "python3-gi",
    "import gi; gi.require_version('Gtk', '3.0')": "gir1.2-gtk-3.0",
}
#: The extras of pyproject.toml that a benchmark needs: what it is compared with, or runs on. The other
#: benchmarks do not see them, because each pytest would load their plugins, which takes two seconds.
BENCH_EXTRAS = {"harness": ["bench"], "injection": ["bench", "toolkits"], "report": ["bench"]}
#: Seconds for all Rust tests, and for one test in Python. Nothing takes longer, unless it hangs.
RUST_TESTS_WITHIN = 10 * 60
PYTHON_TEST_WITHIN = 5 * 60
SLOPPY = ROOT / "examples" / "sloppy"

if sys.version_info < (3, 10):  # noqa: UP036 -- any python3 may run this file
    sys.exit(f"dev.py needs Python 3.10 or newer; this is {sys.version.split()[0]}")


class Failed(Exception):
    """A step failed; the text says what to do."""


# --- steps ----------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Print one line on what is being done."""
    print(f"\033[1m▸ {text}\033[0m" if sys.stdout.isatty() else f"> {text}", flush=True)


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a command and show its output as it comes."""
    words = [str(word) for word in command]
    status = subprocess.run(words, cwd=cwd, env=os.environ | (env or {}), check=False).returncode
    if status != 0:
        raise Failed(f"this failed with exit status {status}:\n    {' '.join(words)}")


def run_within(seconds: float, *command: str | Path) -> None:
    """Run a command and show its output as it comes. If it takes longer, end it and what it started."""
    words = [str(word) for word in command]
    is_posix = os.name == "posix"
    with subprocess.Popen(words, cwd=ROOT, start_new_session=is_posix) as process:
        try:
            status = process.wait(seconds)
        except BaseException as error:
            if is_posix:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise Failed(
                    f"this was ended after {seconds / 60:g} minutes:\n    {' '.join(words)}"
                ) from None
            raise
    if status != 0:
        raise Failed(f"this failed with exit status {status}:\n    {' '.join(words)}")


def succeeds(*command: str | Path, env: dict[str, str]) -> bool:
    """Whether a command succeeds. Its output is shown as it comes."""
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=ROOT, env=os.environ | env, check=False).returncode == 0


def digest(paths: Iterator[Path]) -> str:
    """A digest of these files' contents."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def set_up() -> None:
    """Make `.venv`, install what is needed, build the native module; each only if something changed."""
    cargo()
    stamp = json.loads(STAMP.read_text()) if STAMP.exists() else {}
    wanted = {
        "python": sys.version,
        "packages": digest(iter([ROOT / "pyproject.toml"])),
        "native": digest(
            path
            for path in [
                *(path for path in (ROOT / "src").rglob("*") if path.is_file()),
                ROOT / "Cargo.toml",
                ROOT / "Cargo.lock",
                ROOT / "pyproject.toml",
            ]
        ),
    }
    if stamp.get("python") != wanted["python"] or not PYTHON.exists():
        say("making .venv")
        shutil.rmtree(VENV, ignore_errors=True)
        venv.create(VENV, with_pip=True)
        stamp = {"python": wanted["python"]}
    if stamp.get("packages") != wanted["packages"]:
        say("installing what is needed into .venv")
        # Only the optional dependencies: livegui itself is built below.
        install(*packages("dev"))
        stamp["packages"] = wanted["packages"]
    built = any((ROOT / "python_shim" / "livegui").glob("_livegui.*.so")) or any(
        (ROOT / "python_shim" / "livegui").glob("_livegui.pyd")
    )
    if stamp.get("native") != wanted["native"] or not built:
        say("building the native module (a few minutes the first time)")
        build()
        stamp["native"] = wanted["native"]
    STAMP.write_text(json.dumps(stamp))


def build() -> None:
    """Build the native module and install livegui, editable, into `.venv`."""
    # Cargo shows its progress on standard error. pip's remarks on extras that were not requested are hidden,
    # unless it fails.
    done = subprocess.run(
        [BIN / "maturin", "develop", "--release"],
        cwd=ROOT,
        env=os.environ | {"VIRTUAL_ENV": str(VENV)},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"the native module could not be built:\n{done.stdout}")


def packages(extra: str) -> list[str]:
    """The packages of an extra in pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.search(rf"^{extra} = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    if listed is None:
        raise Failed(f"pyproject.toml lists no extra '{extra}'")
    return re.findall(r'"([^"]+)"', listed[1])


def beside(name: str, wanted: list[str]) -> Path:
    """A folder for PYTHONPATH with packages that must stay out of `.venv`, installed once."""
    folder = VENV / "beside" / f"{name}-{hashlib.sha256(repr(wanted).encode()).hexdigest()[:8]}"
    if not folder.exists():
        say(f"installing {', '.join(wanted)}")
        draft = folder.with_name(f"{folder.name}.{os.getpid()}.draft")
        try:
            install("--target", str(draft), *wanted)
            draft.rename(folder)
        except OSError:
            if not folder.exists():  # otherwise another process of the tests was faster
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def install(*arguments: str) -> None:
    """Install something with `.venv`'s pip."""
    run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


def cargo() -> str:
    """The path of cargo."""
    path = shutil.which("cargo")
    if path is None:
        raise Failed("cargo is not on PATH: livegui is built with Rust, see https://rustup.rs")
    return path


# --- commands -------------------------------------------------------------------------------------


def test(rest: list[str]) -> None:
    """The Rust tests, then the Python tests."""
    set_up()
    if not rest:
        say("Rust tests")
        run(cargo(), "test", "--quiet", "--no-run")
        # cargo has no limit of its own, and a test that hangs must not hold up CI.
        run_within(RUST_TESTS_WITHIN, cargo(), "test", "--quiet")
    toolkits = beside("toolkits", packages("toolkits"))
    environment = {
        "LIVEGUI_TEST_TOOLKITS": str(toolkits),
        "LIVEGUI_TEST_MORE_TOOLKITS": str(beside("more", packages("more_toolkits"))),
        "LIVEGUI_TEST_PYGAME_CE": str(beside("pygame_ce", packages("pygame_ce"))),
        "LIVEGUI_TEST_BROWSER": str(beside("browser", packages("browser"))),
        "LIVEGUI_TEST_REPORTS": str(beside("reports", packages("reports"))),
    }
    if rest and rest[0] in MATRICES:
        environment["LIVEGUI_WHOLE_MATRIX"] = "1"
        rest = [MATRICES[rest[0]], *rest[1:]]
    say("Python tests")
    options = rest or ["-n2", "--dist=loadfile"]
    run(PYTHON, "-m", "pytest", f"--timeout={PYTHON_TEST_WITHIN}", *options, env=environment)


def system(_rest: list[str]) -> None:
    """Install system packages that some tests need (and are skipped without), for a CI machine."""
    missing = not_installed(SYSTEM, SYSTEM_IMPORTS)
    if not missing:
        return
    if sys.platform != "linux" or shutil.which("apt-get") is None or os.geteuid() != 0:
        say(f"not installed, so some tests are skipped: {', '.join(missing)}")
        return
    say(f"installing {', '.join(missing)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600")
    install = ("install", "-y", "--no-install-recommends")
    if not (succeeds(*apt, "update", env=quiet) and succeeds(*apt, *install, *missing, env=quiet)):
        say("apt-get failed, so some tests are skipped")


def not_installed(programs: dict[str, str], imports: dict[str, str]) -> list[str]:
    """The packages of those programs, and of those imports in the system's Python, that do not work here."""
    missing = [name for program, name in programs.items() if shutil.which(program) is None]
    for code, name in imports.items():
        try:
            done = subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, check=False)
        except OSError:  # there is no such Python
            missing.append(name)
        else:
            missing += [name] if done.returncode != 0 else []
    return missing


def lint(_rest: list[str]) -> None:
    """Every check that does not run the code. Warnings are errors."""
    set_up()
    say("rustfmt")
    run(cargo(), "fmt", "--check")
    say("rust-version")
    check_rust_version()
    say("clippy")
    run(cargo(), "clippy", "--quiet", "--all-targets", "--", "-D", "warnings")
    # The Python interface is not linked against libpython here, because checking does not link.
    run(cargo(), "clippy", "--quiet", "--all-targets", "--features", "python", "--", "-D", "warnings")
    say("cargo doc")
    run(
        cargo(),
        "doc",
        "--quiet",
        "--no-deps",
        "--document-private-items",
        env={"RUSTDOCFLAGS": "-D warnings"},
    )
    say("ruff")
    run(PYTHON, "-m", "ruff", "format", "--check", "--quiet", ".")
    run(PYTHON, "-m", "ruff", "check", "--quiet", ".")
    say("mypy --strict")
    run(PYTHON, "-m", "mypy")
    say("stubtest")
    run(PYTHON, "-m", "mypy.stubtest", "livegui._livegui", "--ignore-disjoint-bases")
    say("docs/api.md")
    run(PYTHON, ROOT / "tools" / "api_reference.py", "--check")


def check_rust_version() -> None:
    """Cargo.toml's `rust-version` must be true. clippy checks our own code, this checks the dependencies.

    A build proves it only if the installed Rust is of that version. If it is not, this says so.
    """

    def read(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in version.split(".")[:2])

    command = [cargo(), "metadata", "--format-version", "1", "--locked"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise Failed("cargo metadata failed: is Cargo.lock up to date?")
    packages = json.loads(done.stdout)["packages"]
    stated = next(package["rust_version"] for package in packages if package["name"] == "livegui")
    newer = [
        f"{package['name']} {package['version']} needs Rust {package['rust_version']}"
        for package in packages
        if package["rust_version"] and read(package["rust_version"]) > read(stated)
    ]
    if newer:
        raise Failed(f"rust-version is {stated}, but " + ", ".join(newer))
    here = subprocess.run(
        ["rustc", "--version"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()[1]
    if read(here) != read(stated):
        say(f"this is Rust {here}: what is built here does not prove that {stated} is enough")


def fmt(_rest: list[str]) -> None:
    """Format everything."""
    set_up()
    run(cargo(), "fmt")
    run(PYTHON, "-m", "ruff", "check", "--quiet", "--fix", "--exit-zero", ".")
    run(PYTHON, "-m", "ruff", "format", "--quiet", ".")
    run(PYTHON, ROOT / "tools" / "api_reference.py")


def chaos(rest: list[str]) -> None:
    """Run every fault under every setting, on the real sloppy app."""
    set_up()
    run(PYTHON, ROOT / "tests" / "chaos" / "chaos.py", *rest)


def soak(rest: list[str]) -> None:
    """Cause legitimate trouble for as long as requested, and run pytests of thousands of tests."""
    set_up()
    run(PYTHON, ROOT / "tests" / "chaos" / "soak.py", *rest)


def exits(rest: list[str]) -> None:
    """Measure how soon an end is noticed; run a thousand exits under load, on every Python found."""
    set_up()
    say("from an app's end to the verdict")
    run(PYTHON, ROOT / "tests" / "chaos" / "exit_to_verdict.py")
    say("interpreter exits (a few minutes a Python)")
    run(PYTHON, ROOT / "tests" / "chaos" / "exit_stress.py", *rest)


def sources(name: str) -> Path:
    """The unpacked source distribution of a package, which has examples that its wheel lacks."""
    folder = VENV / "beside" / f"{name}_sources"
    if not folder.exists():
        say(f"fetching the sources of {name}")
        draft = folder.with_name(f"{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:")
        run(PYTHON, "-m", "pip", "download", *quiet, "--dest", draft, name)
        archive = next(draft.iterdir())
        shutil.unpack_archive(archive, draft)
        archive.unlink()
        next(draft.iterdir()).rename(folder)
        draft.rmdir()
    return folder


def apps(rest: list[str]) -> None:
    """Watch unchanged apps of other people, and popular libraries in an unchanged app."""
    set_up()
    extras = {"toolkits": "toolkits", "more": "more_toolkits", "apps": "apps", "popular": "popular"}
    path = os.pathsep.join(str(beside(name, packages(extra))) for name, extra in extras.items())
    elsewhere = {
        "LIVEGUI_APPS_IMGUI_BACKENDS": str(beside("imgui_backends", packages("imgui_backends"))),
        "LIVEGUI_APPS_PYGAME_CE": str(beside("pygame_ce", packages("pygame_ce"))),
        "LIVEGUI_APPS_PYGLET_SOURCES": str(sources("pyglet")),
    }
    say("popular libraries")
    run(PYTHON, ROOT / "tests" / "chaos" / "same_imports.py", env={"PYTHONPATH": path})
    say("apps of other people (--help for options, such as a shorter --idle)")
    run(PYTHON, ROOT / "tests" / "chaos" / "unchanged_apps.py", *rest, env=elsewhere | {"PYTHONPATH": path})


def windows(rest: list[str]) -> None:
    """Run the tests on Windows, as far as wine is Windows; see docs/platforms.md."""
    # Not at the top, because without `windows` nobody needs Debian or a Python 3.11.
    from tools.debian import ToolError  # noqa: PLC0415 -- only where it is needed
    from tools.windows_rig import Rig  # noqa: PLC0415 -- only where it is needed

    rig = Rig(say, Path(sys.executable))
    try:
        rig.make()
        if not rest:
            say("Rust tests")
            rig.rust_tests()
        say("Python tests")
        status = rig.pytest(rest) if rest else rig.python_tests()
    except ToolError as error:
        raise Failed(str(error)) from error
    finally:
        rig.stop_wine()
    if status != 0:
        raise Failed(f"pytest ended with exit status {status}")


def cross(rest: list[str]) -> None:
    """Compile for systems other than this machine's, as far as a check goes."""
    from tools.cross_check import check  # noqa: PLC0415 -- only where it is needed
    from tools.debian import ToolError  # noqa: PLC0415 -- only where it is needed

    try:
        check(say, rest)
    except ToolError as error:
        raise Failed(str(error)) from error


def bench(rest: list[str]) -> None:
    """Run the benchmarks: all, or the named ones."""
    set_up()
    known = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("bench_*.py"))}
    names = [f"bench_{name}" for name in rest] or list(known)
    for name in names:
        if name not in known:
            raise Failed(
                f"there is no {name}; there are: {', '.join(n.removeprefix('bench_') for n in known)}"
            )
    environments = {
        name: {"PYTHONPATH": os.pathsep.join(str(beside(extra, packages(extra))) for extra in extras)}
        for name, extras in BENCH_EXTRAS.items()
        if f"bench_{name}" in names
    }
    if "report" in environments:
        environments["report"]["LIVEGUI_TEST_BROWSER"] = str(beside("browser", packages("browser")))
    from tools import bench_tables  # noqa: PLC0415 -- only where it is needed

    scripts = {name.removeprefix("bench_"): known[name] for name in names}
    tables = bench_tables.run(scripts, PYTHON, environments, say)
    folder = ROOT / "target" / "bench"
    bench_tables.write(tables, folder)
    say(f"written: {folder / 'bench.json'}, and a picture of each table beside it")
    if failures := bench_tables.failures(tables):
        raise Failed("; ".join(failures))


# --- demo -----------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """The result of one run of the sloppy suite."""

    title: str
    seconds: float = 0.0
    #: test -> ("passed" | "failed" | "error", its message)
    tests: dict[str, tuple[str, str]] = field(default_factory=dict)
    generation: str = "1"

    def with_result(self, *results: str) -> list[str]:
        return [name for name, (result, _) in self.tests.items() if result in results]

    def file(self, name: str) -> str:
        counts: dict[str, int] = {}
        for test_name, (result, _) in self.tests.items():
            if test_name.startswith(name):
                counts[result] = counts.get(result, 0) + 1
        return ", ".join(f"{count} {result}" for result, count in counts.items())


def demo(_rest: list[str]) -> None:
    """Run the sloppy suite without livegui, and with it. Fails unless the outcome is as expected."""
    set_up()
    say("the suite with a plain session fixture; its poll of 120 s is cut to 10 s")
    naive = run_suite("plain session fixture", ["-p", "no:livegui", "-p", "naive_live_gui"], poll_s=10)
    say("the same suite with livegui; its poll is 120 s again")
    livegui = run_suite("livegui", [], poll_s=120)
    compare(naive, livegui)
    culprit, workflow = "test_execution_sim_live", "test_full_live_workflow"
    expected = {
        "without livegui the culprit passes": naive_passed(naive, culprit),
        "without livegui the workflow is blamed": workflow in short(naive.with_result("failed")),
        "with livegui only the culprit fails": short(livegui.with_result("failed")) == [culprit],
        "its report shows the IM_ASSERT": "IM_ASSERT" in said(livegui, culprit),
        "the victim names the culprit": culprit in said(livegui, "test_execution_result_sim_live"),
        "the workflow passes": workflow in short(livegui.with_result("passed")),
        "on generation 2": livegui.generation == "2",
        "in less than 10 s": livegui.seconds < 10,
    }
    wrong = [what for what, holds in expected.items() if not holds]
    if wrong:
        raise Failed("the demo did not come out as it should: not true is\n    " + "\n    ".join(wrong))


def run_suite(title: str, options: list[str], poll_s: int) -> Outcome:
    """Run the sloppy suite, and show a line for each test as it ends."""
    outcome = Outcome(title)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            PYTHON,
            "-m",
            "pytest",
            "-v",
            "--tb=no",
            "--no-header",
            "--color=no",
            f"--junitxml={report}",
        ]
        command += ["-W", "ignore::pytest.PytestConfigWarning", *options]
        environment = os.environ | {"SLOPPY_POLL_S": str(poll_s)}
        began = time.monotonic()
        with subprocess.Popen(
            list(map(str, command)),
            cwd=SLOPPY,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as process:
            for line in process.stdout or ():
                if re.match(r"tests/\S+::", line):
                    print(f"    {time.monotonic() - began:5.1f} s  {line.rstrip()}", flush=True)
        outcome.seconds = time.monotonic() - began
        if not report.exists():
            raise Failed(f"pytest did not run; try it by hand:\n    cd {SLOPPY}\n    {PYTHON} -m pytest")
        for case in ET.parse(report).iter("testcase"):
            name = f"{case.get('classname', '').rpartition('.')[2]}.py::{case.get('name')}"
            bad = next((child for child in case if child.tag in ("failure", "error")), None)
            result = "passed" if bad is None else {"failure": "failed", "error": "error"}[bad.tag]
            outcome.tests[name] = (
                result,
                "" if bad is None else bad.get("message", "") + "\n" + (bad.text or ""),
            )
            for entry in case.iter("property"):
                if entry.get("name") == "live_gui_generation":
                    outcome.generation = entry.get("value", "")
    return outcome


def compare(naive: Outcome, livegui: Outcome) -> None:
    """Show both outcomes side by side."""

    def quote(outcome: Outcome) -> str:
        texts = [text for result, text in outcome.tests.values() if result == "failed"]
        found = re.search(r"RuntimeError: IM_ASSERT\(.*?\)|Failed: [^\n]*", texts[-1]) if texts else None
        return found[0] if found else "-"

    rows: list[tuple[str, Callable[[Outcome], str]]] = [
        ("who was blamed", lambda o: ", ".join(short(o.with_result("failed")))),
        ("what it said", quote),
        ("spared, told why", lambda o: ", ".join(short(o.with_result("error"))) or "nobody"),
        ("test_extended_sims", lambda o: o.file("test_extended_sims")),
        ("test_live_workflow", lambda o: o.file("test_live_workflow") + f", on process {o.generation}"),
        ("seconds", lambda o: f"{o.seconds:.1f}" + (" (its polls cut to 10 s)" if o is naive else "")),
    ]
    cells = [("", naive.title, livegui.title), *((name, of(naive), of(livegui)) for name, of in rows)]
    width = 44
    print()
    for name, *values in cells:
        wrapped = [textwrap.wrap(value, width) or [""] for value in values]
        for number in range(max(map(len, wrapped))):
            line = [lines[number] if number < len(lines) else "" for lines in wrapped]
            print(
                f"  {name if number == 0 else '':<20}"
                + "  ".join(f"{text:<{width}}" for text in line).rstrip()
            )
    print()


def short(names: list[str]) -> list[str]:
    return [name.rpartition("::")[2] for name in names]


def said(outcome: Outcome, test_name: str) -> str:
    return next((text for name, (_, text) in outcome.tests.items() if name.endswith(f"::{test_name}")), "")


def naive_passed(outcome: Outcome, test_name: str) -> bool:
    return test_name in short(outcome.with_result("passed"))


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "demo": demo,
    "test": test,
    "lint": lint,
    "system": system,
    "fmt": fmt,
    "bench": bench,
    "chaos": chaos,
    "soak": soak,
    "exits": exits,
    "apps": apps,
    "windows": windows,
    "cross": cross,
}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    arguments, rest = parser.parse_known_args()
    began = time.monotonic()
    try:
        COMMANDS[arguments.command](rest)
        took = round(time.monotonic() - began)
        say(f"{arguments.command} took {took // 60} min {took % 60} s")
    except Failed as error:
        sys.exit(f"dev.py: {error}")
    except KeyboardInterrupt:
        sys.exit("dev.py: interrupted")


if __name__ == "__main__":
    main()
