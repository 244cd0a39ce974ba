import errno

import pytest

from workers.breakdown import LastWords

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
    with LastWords("keeper"):
        raise error
    assert capfd.readouterr().err == said


def test_a_defect_of_ours_is_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with LastWords("keeper"):
        raise ValueError("never")
    assert "ValueError: never" in capfd.readouterr().err


def test_what_follows_from_it_is_not_told(capfd: pytest.CaptureFixture[str]) -> None:
    words = LastWords("keeper")
    for _ in range(2):
        with words:
            raise MemoryError
    assert capfd.readouterr().err == HOST[0][1]


def test_whoever_is_told_to_leave_leaves_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    words = LastWords("keeper")
    with pytest.raises(SystemExit), words:
        raise SystemExit
    assert not words.said
    assert capfd.readouterr().err == ""
