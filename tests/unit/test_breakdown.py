import errno

import pytest

from workers.breakdown import tell

HOST = [
    (MemoryError(), "Error: the keeper has no memory left, and ends with all that it has\n"),
    (
        OSError(errno.EIO, "Input/output error"),
        "Error: the keeper cannot go on, and ends with all that it has: [Errno 5] Input/output error\n",
    ),
]


@pytest.mark.parametrize("error, said", HOST)
def test_what_the_host_refuses_is_one_sentence(
    capfd: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    tell("keeper", error)
    assert capfd.readouterr().err == said


def test_a_defect_of_ours_is_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    tell("keeper", ValueError("never"))
    assert "ValueError: never" in capfd.readouterr().err
