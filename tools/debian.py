"""What these tools need from Debian: packages, and a Rust that can compile for other systems."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Debian verifies what apt installs. The versions are those of the Debian release.
RUST = ("rustc-web", "rust-web-src")


class ToolError(Exception):
    """A step failed; the text says what to do."""


def cache() -> Path:
    """A folder for what is built once: ``livegui`` in ``XDG_CACHE_HOME``, or in ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livegui"


def install(packages: tuple[str, ...], say: Callable[[str], None], log: Path) -> None:
    """Install the packages that are missing."""
    if shutil.which("dpkg-query") is None:
        raise ToolError("this is made of Debian's packages, and the machine is no Debian")
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ", *packages]
    states = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()
    if states == ["installed"] * len(packages):
        return
    if os.geteuid() != 0:
        raise ToolError(f"packages are missing; as root: apt-get install {' '.join(packages)}")
    say(f"installing Debian's {', '.join(packages)} (a minute or two)")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], env=quiet, log=log)
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], env=quiet, log=log)


def cargo(target: str, target_dir: Path, command: str, arguments: list[str], env: dict[str, str]) -> None:
    """Run cargo for a system for which no Rust is installed here. Its standard library is built too."""
    environment = {
        "RUSTC": "/usr/bin/rustc",
        # This allows a switch that otherwise needs nightly Rust.
        "RUSTC_BOOTSTRAP": "1",
        "CARGO_TARGET_DIR": str(target_dir),
        # Debug information would double the time.
        "CARGO_PROFILE_DEV_DEBUG": "0",
        "CARGO_PROFILE_TEST_DEBUG": "0",
        **env,
    }
    std = ["-Z", "build-std=std,panic_unwind", "--target", target]
    run(["cargo", command, "--quiet", *std, *arguments], env=environment)


def run(words: list[str], env: dict[str, str] | None = None, log: Path | None = None) -> None:
    """Run a command. Its output is shown as it comes, or goes to a file."""
    environment = os.environ | (env or {})
    try:
        if log is None:
            status = subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode
        else:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as out:
                status = subprocess.run(
                    words, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
                ).returncode
    except FileNotFoundError as error:
        raise ToolError(f"{words[0]} is not there") from error
    if status != 0:
        where = "" if log is None else f"; see {log}"
        raise ToolError(f"this failed with exit status {status}{where}:\n    {' '.join(words)}")
