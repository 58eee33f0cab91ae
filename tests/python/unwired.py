"""Apps as somebody else would have them: those of ``examples``, with every line of livegui's taken out."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

from wiring import APPS, WIRING, WiredApp

SLOPPY = Path(__file__).parents[2] / "examples" / "sloppy"
#: What stands in the place of a call of ours that runs a loop.
INSTEAD = {
    "live_dpg.run(agent)": "dpg.start_dearpygui()",
    "live_imgui.run(params, agent=agent)": "hello_imgui.run(params)",
    "live_imgui.run(params)": "hello_imgui.run(params)",
    "with agent.main_loop():": "if True:",
}


def without_livegui(text: str) -> str:
    """The source of an app with nothing of livegui in it."""
    for ours, theirs in INSTEAD.items():
        text = text.replace(ours, theirs)
    head, *rest = re.split(r'^(""".*?""")$', text, maxsplit=1, flags=re.MULTILINE | re.DOTALL)
    body = rest[-1] if rest else head
    kept = [line for line in body.splitlines() if not re.search(r"livegui|\blive_\w+\.|\bagent\b", line)]
    return "from __future__ import annotations\n" + "\n".join(
        line for line in kept if not line.startswith("from __future__")
    )


def unwired(name: str, folder: Path) -> WiredApp:
    """An app of ``examples/wiring`` that nobody wired, in a folder that has nothing else."""
    app = APPS[name]
    shutil.copy(WIRING / "commands.py", folder)
    script = folder / f"{name}_app.py"
    script.write_text(without_livegui((WIRING / app.script).read_text()))
    return replace(app, script=str(script))


def unwired_sloppy(folder: Path) -> Path:
    """The sloppy app and its suite, with nothing of livegui in the app."""
    shutil.copytree(
        SLOPPY, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".livegui", "__pycache__")
    )
    script = folder / "sloppy.py"
    text = without_livegui(script.read_text())
    assert "hello_imgui.run(params)" in text
    script.write_text(text)
    return script
