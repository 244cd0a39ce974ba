"""By what the processes of jobs are held together, what limits them, and which sandboxes there are."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cli.checkup.finding import CONFIGURATION, Finding, failure, ok, warning
from supervisor.confining import confinement, needs_pids_controller
from supervisor.jobtypes.records import JobTypes
from supervisor.store.records import Supervisor
from workers.confinement import Confinement
from workers.hierarchies import Hierarchy, hierarchies
from workers.subtree import Subtree, left_of

Obstacle = Callable[[Confinement, bool], str | None]
"""Why a job that is to be confined so would not be started here; and whether its folder is its own."""

_AS_ROOT = (
    "docs/isolation.md says what it takes. Run this as the service's user: another may have other rights."
)


@dataclass(frozen=True, slots=True)
class Hold:
    """What the control groups of this host give."""

    whole: bool
    """Whether all of a job can be ended at once."""
    limits: frozenset[str]
    """Of `memory` and `pids`, what can be limited."""
    of_the_service: bool
    """Seen at a service that runs; else it was tried from here, where other groups may be ours."""

    @classmethod
    def of(cls, living: Supervisor | None) -> Self:
        """Of a service that runs, or tried here, in groups that are removed again."""
        if living is not None:
            where = hierarchies(membership=Path(f"/proc/{living.identity.pid}/cgroup").read_text())
            folders = left_of(living.uuid, where)
            whole = any((folder / "cgroup.kill").exists() for folder in folders)
            return cls(whole, frozenset(_limits(where, folders)), of_the_service=True)
        trial = Subtree(f"{uuid.uuid4()}:0")
        try:
            return cls(trial.kills, trial.limits, of_the_service=False)
        finally:
            trial.remove()


def _limits(where: list[Hierarchy], folders: list[Path]) -> Iterator[str]:
    for folder in folders:
        for hierarchy in where:
            if hierarchy.unified and folder.parent == hierarchy.folder:
                enabled = (folder / "cgroup.subtree_control").read_text().split()
                yield from hierarchy.controllers & {*enabled}
            elif folder.parent == hierarchy.folder:
                yield from hierarchy.controllers


def judge(hold: Hold, types: JobTypes | None) -> Iterator[Finding]:
    where = "the service" if hold.of_the_service else "tried from here; the service may have others"
    what = [f"limits of {' and '.join(sorted(hold.limits))}"] if hold.limits else []
    if hold.whole:
        yield ok("control groups", f"{', '.join(['one for each job', *what])} ({where})")
    else:
        yield warning(
            "control groups",
            f"none that can be ended as a whole: jobs are held by their trees ({where})",
            "Run the service where it can make some: Delegate=yes under systemd. See docs/isolation.md.",
        )
    for name, each in types.types.items() if types else ():
        if each.limits.memory is not None and "memory" not in hold.limits:
            yield warning(
                "control groups",
                f"{name}: limits.memory is held for each process, not for all of a job together ({where})",
                "Run the service where it has the memory controller: see docs/isolation.md.",
            )
        if needs_pids_controller(each) and "pids" not in hold.limits:
            yield _processes_not_held(name, where, certain=hold.of_the_service)


def _processes_not_held(name: str, where: str, *, certain: bool) -> Finding:
    text = f"{name}: nothing can hold limits.processes, so its jobs fail with not_started ({where})"
    advice = "Run the service where it has the pids controller, or take the key away: see docs/isolation.md."
    if certain:
        return failure("control groups", text, advice, CONFIGURATION)
    return warning("control groups", text, advice)


def judge_sandboxes(types: JobTypes | None, obstacle: Obstacle) -> Iterator[Finding]:
    """Each is tried, in a process that is thrown away."""
    asking = [each for each in (types.types.values() if types else ()) if each.sandbox.asked or each.run_as]
    refused = {
        each.name: why
        for each in asking
        if (why := obstacle(confinement(each, []), each.working_directory is None))
    }
    for name, why in refused.items():
        yield warning("sandbox", f"{name}: its jobs would not be started here, by this user: {why}", _AS_ROOT)
    if asking and not refused:
        yield ok(
            "sandbox", f"{len(asking)} job type{'' if len(asking) == 1 else 's'} can be confined as asked"
        )
    if not asking:
        why = obstacle(Confinement(network=False, private_tmp=True), True)
        text = f"could not be had here, by this user: {why}" if why else "could be had"
        yield ok("sandbox", f"no job type asks for one; it {text}")
