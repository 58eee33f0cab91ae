"""What the tests need beside livegui: what is missing is installed by `dev.py system`, and fails CI."""

from __future__ import annotations

import os

import plain_suites
import pytest


@pytest.mark.skipif(os.name != "posix", reason="`dev.py system` is for Debian")
def test_what_does_not_work_here_is_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import dev  # noqa: PLC0415 -- not everywhere

    programs = {"sh": "dash", "no-such-program": "a"}
    imports = {"import os": "python3", "import no_such_module": "b"}
    assert "b" in dev.not_installed({}, imports)
    assert "a" in dev.not_installed(programs, {})
    assert "dash" not in dev.not_installed(programs, {})
    monkeypatch.setattr(dev, "SYSTEM_PYTHON", "/no/such/python")
    assert dev.not_installed({}, imports) == ["python3", "b"]


@pytest.mark.parametrize(("in_ci", "raised"), [(True, pytest.fail.Exception), (False, pytest.skip.Exception)])
def test_a_test_that_cannot_run_fails_in_ci_and_is_skipped_elsewhere(
    in_ci: bool, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_suites, "IN_CI", in_ci)
    with pytest.raises(raised, match="no display"):
        plain_suites.not_here("no display")
