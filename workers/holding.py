"""By what the processes of one child are held together: found, ended, counted.

Its control group, where there is one: nothing that it starts gets out of that without rights of its own.
And its tree, which a process that had such rights is still in.
"""

from collections.abc import Iterator

from workers.cgroups import Consumption, Group
from workers.frames import Frame
from workers.identity import Identity
from workers.processor import seconds_of
from workers.sweep import Sweep
from workers.trees import running, tree_of

_NOTHING_COUNTED = Consumption(None, None, None, None)


class Holding:
    """Everything of one child."""

    def __init__(self, child: Identity, group: Group | None) -> None:
        self._child = child
        self._group = group
        self.sweep = Sweep(self.processes, None if group is None else group.kill)
        self.left: set[Identity] = set()
        """What of its group outlived it and is being ended."""
        self.leftovers: set[Identity] = set()
        """What of its group outlived it, and was killed."""

    @property
    def isolation(self) -> str:
        return "cgroup" if self._group is not None and self._group.kills else "tree"

    def processes(self) -> Iterator[Identity]:
        """What is running of it, the child first."""
        yield from tree_of(self._child)
        yield from self._members()

    def kill(self) -> None:
        """End its group at once, where there is one that can be, and look at nothing else."""
        if self._group is not None and self._group.kills:
            try:
                self.sweep.killed |= set(self._members())
            finally:
                self._group.kill()

    def limit(self, limits: Frame) -> Frame:
        """Have the kernel hold the group to its memory and processes, and say what is left to the child."""
        told = dict(limits)
        if limits["memory"] is not None:
            told["memory_by_process"] = not self._limited(memory=limits["memory"])
        if limits["processes"] is not None:
            told["processes_by_user"] = not self._limited(processes=limits["processes"])
        return told

    def seconds(self) -> float:
        """Processor time of all of it, as far as that is known."""
        used = self.consumption()
        if used.user_seconds is None or used.system_seconds is None:
            return seconds_of(self.processes())
        return used.user_seconds + used.system_seconds

    def end_leftovers(self) -> None:
        """After its end: kill what is left in its group, and look whether anything is."""
        if not self.pids():  # as it should be
            self.left = set()
            return
        rest = Sweep(self._members, None if self._group is None else self._group.kill)
        rest.step()
        self.leftovers |= rest.killed - self.sweep.killed
        self.left = set(rest.left)

    def consumption(self) -> Consumption:
        return _NOTHING_COUNTED if self._group is None else self._group.consumption()

    @property
    def counts_oom_kills(self) -> bool:
        """Whether its consumption tells what of it the kernel ended for lack of memory."""
        return self._group is not None and self._group.counts_oom_kills

    def remove(self) -> bool:
        """The group, once nothing is in it: False while something is."""
        return self._group is None or self._group.remove()

    def pids(self) -> set[int]:
        """What is in its group, zombies too."""
        return set() if self._group is None else set(self._group.members())

    def _limited(self, **limit: int) -> bool:
        try:
            if self._group is not None:
                self._group.limit(**limit)
        except OSError:
            return False
        return self._group is not None

    def _members(self) -> Iterator[Identity]:
        for pid in self.pids():
            identity = running(pid)
            if identity:
                yield identity
