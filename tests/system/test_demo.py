"""`make demo`: what it promises on the screen, and what it leaves behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tree import ROOT

DEMO = [sys.executable, "-P", str(ROOT / "deploy" / "demo.py")]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What is set around us must not matter, and the temporary folder is ours to look into."""
    return {**os.environ, "TMPDIR": str(tmp_path), "ASYNCWORKER_STATUS": "nonsense", "PYTHONUTF8": "1"}


@pytest.fixture(autouse=True)
def _leaves_nothing(tmp_path: Path) -> Iterator[None]:
    yield
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def processes_of(folder: Path) -> list[int]:
    """Those that were started with this folder for temporary files: TMPDIR reaches keeper and jobs too."""
    mark, found = f"TMPDIR={folder}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.timeout(200)
def test_all_four_scenarios_come_out_as_promised(environment: dict[str, str]) -> None:
    demo = subprocess.run(DEMO, env=environment, capture_output=True, text=True, check=False)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    assert [line[:2] for line in demo.stdout.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4."]
    assert "✓" in demo.stdout
    assert "✗" not in demo.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.timeout(100)
def test_an_interrupted_demo_cleans_up(environment: dict[str, str], number: signal.Signals) -> None:
    with subprocess.Popen(DEMO, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "InProgress" in line:
                break
        demo.send_signal(number)
        rest = demo.stdout.read()
    assert demo.returncode == 130
    assert "cleaning up" in rest


def test_without_what_it_needs_it_says_so_in_a_sentence(environment: dict[str, str]) -> None:
    without_packages = [sys.executable, "-S", *DEMO[1:]]
    demo = subprocess.run(without_packages, env=environment, capture_output=True, text=True, check=False)
    assert demo.returncode != 0
    assert demo.stdout == ""
    assert demo.stderr.startswith("The demo needs AsyncWorker installed")
    assert "Traceback" not in demo.stderr
