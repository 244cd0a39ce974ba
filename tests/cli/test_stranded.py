"""Jobs whose type was removed while they waited: everybody who looks is told why they wait."""

from collections.abc import Callable

from tests.cli.commandline import JOB_TYPES, Answer, Installation

Command = Callable[..., Answer]

WITHOUT = JOB_TYPES.partition("  ReportJob:")[0]


def test_status_and_list_say_that_the_type_is_gone_and_nothing_of_the_others(
    asyncworker: Command, installation: Installation
) -> None:
    report, email = (asyncworker("submit", "-q", name).out.strip() for name in ("ReportJob", "EmailJob"))
    installation.config.write_text(WITHOUT)
    assert "1 Pending of ReportJob cannot begin" in asyncworker("status").out
    assert "Pending, waits: no such job type" in asyncworker("status", report).out
    assert "no such job type" not in asyncworker("status", email).out
    remarks = {line.split()[0]: line for line in asyncworker("list").out.splitlines()[1:]}
    assert "waits: no such job type" in remarks[report]
    assert "waits" not in remarks[email]
    installation.config.write_text(JOB_TYPES)
    assert "cannot begin" not in asyncworker("status").out
    assert "no such" not in asyncworker("list").out


def test_nothing_is_said_where_the_file_cannot_be_read(
    asyncworker: Command, installation: Installation
) -> None:
    job = asyncworker("submit", "-q", "ReportJob").out.strip()
    installation.config.write_text("job_types: [")
    for words in (("status",), ("status", job), ("list",)):
        answer = asyncworker(*words)
        assert answer.code == 0
        assert "no such job type" not in answer.out
        assert "cannot begin" not in answer.out
