"""The record of what was done to end a child."""

import signal

from workers.termination import Termination


def test_signals_are_noted_once_in_a_row() -> None:
    termination = Termination("cancel", began=10.0, kill_at=15.0)
    for number, now in (
        (signal.SIGTERM, 10.0),
        (signal.SIGTERM, 10.5),
        (signal.SIGKILL, 15.0),
        (signal.SIGKILL, 15.1),
    ):
        termination.sent(number, now)
    termination.killed = 3
    assert termination.to_record(16.0004) == {
        "reason": "cancel",
        "signals": [{"signal": "SIGTERM", "afterSeconds": 0.0}, {"signal": "SIGKILL", "afterSeconds": 5.0}],
        "seconds": 6.0,
        "killed": 3,
    }


def test_a_second_request_only_shortens() -> None:
    termination = Termination("cancel", began=10.0, kill_at=15.0)
    termination.hurry(11.0, grace=100.0)
    assert termination.kill_at == 15.0
    termination.hurry(11.0, grace=1.0)
    assert termination.kill_at == 12.0
    assert termination.reason == "cancel"
