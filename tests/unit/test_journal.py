import json
import string
from datetime import UTC, datetime
from io import StringIO

import pytest

from supervisor.journal import Event, Journal

AT = datetime(2026, 1, 20, 12, 0, 0, 123456, UTC)


def test_a_text_line_has_time_level_name_and_sentence() -> None:
    log = StringIO()
    Journal(log, now=lambda: AT).say(Event.SUPERVISOR_STOPPED)
    assert log.getvalue() == "2026-01-20T12:00:00.123Z info    supervisor_stopped: stopped\n"


def test_a_json_line_carries_the_facts_as_fields() -> None:
    log = StringIO()
    Journal(log, "json", now=lambda: AT).say(Event.SUPERVISOR_READY, types=3)
    assert json.loads(log.getvalue()) == {
        "at": "2026-01-20T12:00:00.123Z",
        "level": "info",
        "event": "supervisor_ready",
        "message": "ready for jobs of 3 types",
        "types": 3,
    }


def test_what_a_job_says_cannot_forge_a_line_or_drive_a_terminal() -> None:
    log = StringIO()
    Journal(log, now=lambda: AT).say(Event.HTTP_ENDED, why="a\nb\x1b[31mc\u202ed", pause=1.0)
    assert log.getvalue().count("\n") == 1
    assert "\x1b" not in log.getvalue()
    assert "\u202e" not in log.getvalue()


class Full(StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    Journal(Full()).say(Event.SUPERVISOR_STOPPED)


@pytest.mark.parametrize("event", Event)
def test_every_event_has_a_known_level_and_a_wording(event: Event) -> None:
    level, wording = event.value
    assert level in {"info", "warning", "error"}
    assert list(string.Formatter().parse(wording))
