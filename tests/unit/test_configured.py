"""The job types as the http server has them."""

import contextlib
import io
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.api.configured import Configured
from supervisor.api.telling import Teller
from supervisor.journal import Journal

MAIL = "job_types:\n  Mail: {handler: 'a:b', max_concurrency: 2}\n"
REPORT = "  Report: {command: ['true'], max_concurrency: 1}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "jobtypes.yaml"
    path.write_text(MAIL)
    return path


@contextlib.contextmanager
def starved() -> Iterator[None]:
    """This process can open nothing more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_change_that_could_not_be_read_for_a_moment_is_read_at_the_next_look(file: Path) -> None:
    log = io.StringIO()
    configured = Configured(file, Teller(Journal(log)))
    assert [*configured.now().types] == ["Mail"]
    file.write_text(MAIL + REPORT)
    with starved():
        seen = [([*configured.now().types], configured.problem or "") for _ in range(2)]
    assert all(types == ["Mail"] and "Too many open files" in problem for types, problem in seen)
    assert [*configured.now().types] == ["Mail", "Report"]
    assert configured.problem is None
    assert log.getvalue().count("http_job_types_unreadable") == 1


def test_a_file_with_mistakes_is_read_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured = Configured(file, Teller(Journal(io.StringIO())))
    configured.now()
    file.write_text("job_types: [")
    assert [*configured.now().types] == ["Mail"]
    assert configured.problem
    monkeypatch.setattr("supervisor.api.configured.load", None)
    assert [*configured.now().types] == ["Mail"]
