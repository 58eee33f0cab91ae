"""The pages that list things list all of them, with the defaults that hold."""

from __future__ import annotations

import re
from pathlib import Path

from livegui._options import OPTIONS

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def rows(text: str) -> dict[str, str]:
    """What tables have in the first two columns."""
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE))


def test_every_option_is_documented_with_its_default() -> None:
    documented = {name: default.strip("` \N{EN DASH}") for name, default in rows(CONFIGURATION).items()}
    for name, (default, _what) in OPTIONS.items():
        assert documented[f"live_gui_{name}"] == default, name


def test_every_variable_is_documented() -> None:
    source = (ROOT / "src" / "wire" / "env.rs").read_text(encoding="utf-8")
    for name in re.findall(r'"(LIVEGUI\w*)"', source):
        assert f"`{name}`" in CONFIGURATION, name


def test_the_links_of_the_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md")]
    assert len(pages) > 15
    for page in pages:
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.relative_to(ROOT)}: {link}"


def test_the_files_that_the_architecture_names_are_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|tests|python_shim)/[\w./]+)`", text)
    assert len(named) > 30
    missing = [path for path in named if not (ROOT / path).exists()]
    assert missing == []
