"""SIGHUP: the job types are read again, and come into force together with their code.

They are checked at once; one mistake, and nothing changes. Then a new keeper imports the handlers. When it
is ready it starts all children from then on, and in the same turn the new types begin to count: a job never
meets its new type in a process with the old code. What runs, runs on as it began.
"""

from supervisor.errors import InvalidConfiguration
from supervisor.jobtypes.diff import Change, changes
from supervisor.jobtypes.load import load
from supervisor.journal import Event
from supervisor.supervision import Supervision
from supervisor.wakeup import Signals


def step(s: Supervision, signals: Signals) -> None:
    """Hear the signal; put into force what is ready for it."""
    if signals.hung_up:
        signals.hung_up = False
        _begin(s)
    if s.coming is not None and s.keeping.serves(s.coming):
        _put_in_force(s)


def _begin(s: Supervision) -> None:
    file = s.settings.locations.config
    if s.draining:
        s.journal.say(Event.RELOAD_IGNORED)
        return
    s.notify.reloading(s)
    try:
        s.coming = load(file)
    except InvalidConfiguration as error:
        mistakes = str(error).splitlines()
        for mistake in mistakes:
            s.journal.say(Event.JOB_TYPES_MISTAKE, mistake=mistake)
        s.journal.say(Event.RELOAD_REFUSED, file=file, mistakes=len(mistakes))
        return
    s.journal.say(Event.RELOAD_BEGAN, file=file)
    s.keeping.renew(s)


def _put_in_force(s: Supervision) -> None:
    assert s.coming is not None
    found = changes(s.job_types, s.coming)
    s.job_types, s.coming = s.coming, None
    for change in found:
        _say(s, change)
    s.journal.say(Event.RELOADED, types=len(s.job_types.types), changes=len(found))
    s.due_at = s.clock.monotonic()  # there may be slots now for what waits


def _say(s: Supervision, change: Change) -> None:
    if change.kind == "added":
        slots = s.job_types.types[change.type or ""].max_concurrency
        s.journal.say(Event.TYPE_ADDED, type=change.type, slots=slots)
    elif change.kind == "removed":
        s.journal.say(Event.TYPE_REMOVED, type=change.type)
    else:
        whose = change.type or "all types"
        s.journal.say(Event.TYPE_CHANGED, type=whose, key=change.key, old=change.old, new=change.new)
