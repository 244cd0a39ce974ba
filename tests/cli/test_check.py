from collections.abc import Callable

import pytest

from cli import rehearsal
from tests.cli.commandline import Answer, Installation

Command = Callable[..., Answer]


@pytest.fixture(scope="module")
def way() -> str:
    """Nothing here depends on it."""
    return "store"


def with_handler(
    installation: Installation, source: str, handler: str = "code_of_mine:handle", more: str = "nice: 0"
) -> None:
    (installation.folder / "code_of_mine.py").write_text(source)
    types = f"job_types:\n  Mine: {{handler: '{handler}', max_concurrency: 1, {more}}}\n"
    installation.config.write_text(types)


def test_without_mistakes_it_says_so_in_one_line_and_touches_nothing(installation: Installation) -> None:
    answer = installation.run("check")
    assert answer == Answer(0, "jobtypes.yaml is valid: 2 job types\n", "")
    assert not installation.state_dir.exists()


def test_every_mistake_has_a_line_of_its_own(installation: Installation, asyncworker: Command) -> None:
    installation.config.write_text(
        "job_types:\n  A: {handler: 'a:b', max_concurrency: 0}\n  B: {handler: 'a:b', max_concurency: 1}\n"
    )
    answer = asyncworker("check")
    assert (answer.code, answer.out) == (2, "")
    assert "jobtypes.yaml:2: job_types.A.max_concurrency" in answer.err
    assert "jobtypes.yaml:3: job_types.B" in answer.err
    assert "max_concurrency?" in answer.err


@pytest.mark.parametrize(
    "source, handler, complaint",
    [
        ("", "code_of_mine:handle", "has no handle"),
        ("handle = 3", "code_of_mine:handle", "not callable"),
        ("", "no_such_module:handle", "there is no module no_such_module"),
        ("import missing_thing", "code_of_mine:handle", "missing_thing"),
        ("raise ValueError('\\x1b[2J')", "code_of_mine:handle", "raised ValueError: \\x1b[2J"),
        ("import os; os._exit(3)", "code_of_mine:handle", "ended the process (exit code 3)"),
        ("import sys; sys.exit(4)", "code_of_mine:handle", "ended the process (exit code 4)"),
        ("import os; os.kill(os.getpid(), 11)", "code_of_mine:handle", "ended the process (signal 11)"),
    ],
)
def test_a_handler_that_cannot_be_imported_is_a_mistake(
    installation: Installation, asyncworker: Command, source: str, handler: str, complaint: str
) -> None:
    with_handler(installation, source, handler)
    answer = asyncworker("check")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Error: jobtypes.yaml: job_types.Mine.handler: ")
    assert complaint in answer.err


def test_an_import_that_takes_for_ever_is_a_mistake(
    installation: Installation, asyncworker: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "_TIME_LIMIT", 0.3)
    with_handler(installation, "import time; time.sleep(1000)")
    assert "takes longer than 0.3 seconds" in asyncworker("check").err


def test_what_an_import_prints_or_leaves_running_is_no_mistake(
    installation: Installation, asyncworker: Command
) -> None:
    with_handler(
        installation,
        "import subprocess, threading, time\n"
        "print('noise')\n"
        "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "subprocess.Popen(['sleep', '1000'], close_fds=False)\n"
        "def handle(payload): ...\n",
    )
    assert asyncworker("check") == Answer(0, "jobtypes.yaml is valid: 1 job type\n", "")


def test_what_this_host_cannot_give_is_told_and_is_no_mistake(installation: Installation) -> None:
    with_handler(installation, "def handle(payload): ...\n", more="run_as: {user: no-such-user}")
    answer = installation.run("check")
    assert (answer.code, answer.out) == (0, "jobtypes.yaml is valid: 1 job type\n")
    assert "its jobs would not be started here, by this user: there is no user no-such-user" in answer.err


def test_a_sandbox_that_this_host_can_give_is_nothing_to_talk_about(installation: Installation) -> None:
    with_handler(
        installation, "def handle(payload): ...\n", more="sandbox: {network: false, private_tmp: 1M}"
    )
    answer = installation.run("check")
    if "cannot be had on this host" in answer.err:
        pytest.skip(answer.err)
    assert answer == Answer(0, "jobtypes.yaml is valid: 1 job type\n", "")
