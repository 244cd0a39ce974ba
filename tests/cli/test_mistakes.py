"""What goes wrong comes out as one sentence and the right exit code, never as a traceback."""

import hashlib
import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.commandline import Answer, Installation, PlayedService

Command = Callable[..., Answer]


@pytest.fixture(scope="module")
def way() -> str:
    """Nothing here depends on it."""
    return "store"


def sentence(answer: Answer, code: int) -> str:
    """What it says, after checking that it is said properly."""
    assert answer.code == code, answer
    assert answer.out == ""
    assert answer.err.startswith("Error: ")
    assert "Traceback" not in answer.err
    assert answer.err.count("\n") == 1, answer.err
    return answer.err


@pytest.mark.parametrize(
    "words, hint",
    [
        (("lst",), "there is no verb 'lst'; did you mean list? Try: asyncworker --help"),
        (("frobnicate",), "there is no verb 'frobnicate'."),
        (("list", "--pge", "1"), "No such option"),
        (("submit",), "Missing argument 'TYPE'. Try: asyncworker submit --help"),
        (("wait",), "Missing argument"),
        (("submit", "EmailJob", "1", "2"), "unexpected extra argument"),
        (("submit", "EmailJob", "--priority", "9999999999"), "--priority"),
        (("wait", "abcd", "--timeout", "soon"), "'soon' must be a duration"),
        (("wait", "abcd", "--timeout", "-1"), "--timeout"),
    ],
)
def test_wrong_usage_is_answered_with_what_is_right(
    asyncworker: Command, words: tuple[str, ...], hint: str
) -> None:
    assert hint in sentence(asyncworker(*words), 2)


def test_without_a_verb_the_help_is_shown_and_that_is_wrong_usage(asyncworker: Command) -> None:
    answer = asyncworker()
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: asyncworker")


@pytest.mark.parametrize("verb", [("submit", "EmailJob"), ("check",), ("types",)])
def test_job_types_that_are_missing_are_named(
    installation: Installation, asyncworker: Command, verb: tuple[str]
) -> None:
    installation.config.unlink()
    assert "jobtypes.yaml" in sentence(asyncworker(*verb), 2)


@pytest.mark.parametrize(
    "content, complaint",
    [
        (b"job_types: [", ""),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"job_types: {EmailJob: {handler: 'a:b', max_concurency: 3}}", "max_concurrency"),
        (b"- just\n- a list\n", ""),
        (b"", ""),
    ],
    ids=["not YAML", "not text", "unknown key", "no mapping", "empty"],
)
def test_job_types_with_mistakes_submit_nothing(
    installation: Installation, asyncworker: Command, content: bytes, complaint: str
) -> None:
    installation.config.write_bytes(content)
    answer = asyncworker("submit", "EmailJob")
    assert (answer.code, answer.out) == (2, "")
    assert "jobtypes.yaml" in answer.err
    assert complaint in answer.err
    assert "Traceback" not in answer.err
    assert not installation.state_dir.exists()


def test_job_types_that_are_a_folder_are_refused(installation: Installation, asyncworker: Command) -> None:
    sentence(asyncworker("submit", "EmailJob", "--config", str(installation.folder)), 2)


def test_a_state_folder_that_cannot_be_made_is_named(
    installation: Installation, asyncworker: Command
) -> None:
    (installation.folder / "file").write_text("in the way")
    below = installation.folder / "file" / "state"
    assert str(below) in sentence(asyncworker("submit", "EmailJob", "--state-dir", str(below)), 4)


@pytest.mark.parametrize("verb", [("submit", "EmailJob"), ("list",), ("status",), ("cancel", "abcd")])
def test_a_file_that_is_no_database_is_left_as_it_is(
    installation: Installation, asyncworker: Command, verb: tuple[str, ...]
) -> None:
    precious = installation.folder / "precious.txt"
    precious.write_bytes(b"nothing of this may change\n" * 1000)
    before = hashlib.sha256(precious.read_bytes()).hexdigest()
    sentence(asyncworker(*verb, "--database", str(precious)), 4)
    assert hashlib.sha256(precious.read_bytes()).hexdigest() == before
    assert [path.name for path in installation.folder.glob("precious*")] == ["precious.txt"]


def test_another_programs_database_is_left_as_it_is(installation: Installation, asyncworker: Command) -> None:
    theirs = installation.folder / "theirs.db"
    connection = sqlite3.connect(theirs)
    connection.execute("CREATE TABLE jobs (id)")
    connection.commit()
    connection.close()
    before = theirs.read_bytes()
    sentence(asyncworker("submit", "EmailJob", "--database", str(theirs)), 4)
    assert theirs.read_bytes() == before


@pytest.mark.parametrize("database", ["postgresql://localhost/x", "sqlite://", "nonsense://", "/"])
def test_a_database_that_cannot_be_is_refused(asyncworker: Command, database: str) -> None:
    sentence(asyncworker("list", "--database", database), 4)


def test_a_mistake_of_ours_is_a_sentence_too_and_the_traceback_is_to_be_had(
    asyncworker: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines\x1b[2J")

    monkeypatch.setattr("supervisor.client.Client.overview", broken)
    assert sentence(asyncworker("status"), 1) == (
        "Error: RuntimeError: two lines\\x1b[2J; run with ASYNCWORKER_DEBUG=1 to see the traceback\n"
    )
    monkeypatch.setenv("ASYNCWORKER_DEBUG", "1")
    assert "Traceback" in asyncworker("status").err


@pytest.mark.parametrize("verb", ["list", "logs"])
def test_a_reader_that_leaves_early_is_nobodys_mistake(
    installation: Installation, asyncworker: Command, service: PlayedService, verb: str
) -> None:
    job = asyncworker("submit", "-q", "EmailJob").out.strip()
    service.start(job)
    service.print(job, b"x" * 1_000_000)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            installation.command(verb, *([job] if verb == "logs" else [])),
            stdout=writer,
            stderr=subprocess.PIPE,
            env=installation.environment,
            timeout=20,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.stderr == b""


def test_job_controlled_words_in_an_error_cannot_move_the_cursor(asyncworker: Command) -> None:
    for words in (("submit", "\x1b[2JEmailJob"), ("submit", "EmailJob", "@\x1b[2J"), ("\x1b[2J",)):
        assert "\x1b" not in sentence(asyncworker(*words), 2)


def test_text_that_is_no_unicode_is_shown_and_not_stumbled_over(
    installation: Installation, tmp_path: Path
) -> None:
    answer = installation.run("submit", os.fsdecode(b"\xff"))
    assert (answer.code, "Traceback" in answer.err) == (2, False)


@pytest.mark.parametrize(
    "words, hint",
    [
        (("--http", "0.0.0.0:0"), "0.0.0.0:0 can be reached from other machines, so it needs a token"),
        (("--http", "nonsense"), "the address 'nonsense' is not HOST:PORT"),
        (("--no-http", "--token-file", "none"), "cannot be read: No such file"),
    ],
)
def test_serve_refuses_what_http_cannot_run_with_before_anything_is_started(
    installation: Installation, words: tuple[str, ...], hint: str
) -> None:
    assert hint in sentence(installation.run("serve", *words), 2)
    assert not installation.state_dir.exists()
