"""What a handler wishes by what it raises reaches the supervisor."""

import textwrap
from pathlib import Path

import pytest

from supervisor.lifecycle import FailureKind
from tests.support.keeper import TestKeeper

SOURCE = """
from datetime import timedelta
from asyncworker import Discard, Retry
class Busy(Retry): pass
{kind} handler(payload):
    raise {what}
"""

WISHES = {
    "Retry": ("Retry", "retry", None, "it asked for another attempt"),
    "a reason and a time": ("Retry('busy', after=timedelta(minutes=1))", "retry", 60.0, "busy"),
    "a subclass": ("Busy('very', after=1.5)", "retry", 1.5, "very"),
    "Discard": ("Discard('nobody wants it')", "discard", None, "nobody wants it"),
}


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("case", WISHES.values(), ids=WISHES)
def test_a_wish_is_in_the_last_word(
    keeper: TestKeeper, kind: str, case: tuple[str, str, float | None, str]
) -> None:
    what, wish, after, message = case
    ended = keeper.run(SOURCE.format(kind=kind, what=what)).ended()
    report = ended.frame["report"]
    assert (report["wish"], report.get("after"), report["message"]) == (wish, after, message)
    assert (ended.outcome.failure_kind, ended.outcome.error_message) == (FailureKind.RAISED, message)
    assert "in handler" in (ended.outcome.traceback or "")


def test_what_is_asked_for_wrongly_is_a_mistake_of_the_handler(keeper: TestKeeper) -> None:
    ended = keeper.run(SOURCE.format(kind="def", what="Retry(after=-1)")).ended()
    assert "wish" not in ended.frame["report"]
    assert (ended.outcome.error_message or "").startswith("ValueError: after takes seconds from 0 on")


def test_a_wish_is_known_in_a_package_with_a_name_of_ours_too(keeper: TestKeeper, tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    source = SOURCE.format(kind="def", what="Discard('no')")
    (tmp_path / "workers" / "__init__.py").write_text(textwrap.dedent(source))
    ended = keeper.run(handler="workers:handler", import_paths=[str(tmp_path)]).ended()
    assert ended.frame["report"]["wish"] == "discard"
