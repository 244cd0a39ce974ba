"""What the long-lived processes of a service hold: memory, descriptors, threads, children."""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.processes import http_servers
from tests.support.service import Service, Serving

_COMING, _OF_A_THREAD = 4, 4


@dataclass(frozen=True, slots=True)
class Held:
    """One process at one moment."""

    memory: int
    """KiB of its own, and its part of what it shares with its forks. Not of files: its part of Python's own
    grows whenever any other Python of the machine ends."""
    descriptors: int
    threads: int
    children: int

    @classmethod
    def by(cls, pid: int) -> "Held":
        proc = Path(f"/proc/{pid}")
        (pss,) = (
            line for line in (proc / "smaps_rollup").read_text().splitlines() if line.startswith("Pss_Anon:")
        )
        threads = os.listdir(proc / "task")
        children = [
            pid for each in threads for pid in (proc / "task" / each / "children").read_text().split()
        ]
        return cls(int(pss.split()[1]), len(os.listdir(proc / "fd")), len(threads), len(children))

    @property
    def countable(self) -> tuple[int, int, int]:
        """What must be the same to the last one."""
        return self.descriptors, self.threads, self.children

    def grown_since(self, before: "Held") -> bool:
        """Whether there are more of what can be counted.

        A few threads of the http server come when they are needed, each with its database connection.
        """
        more = max(0, self.threads - before.threads)
        return (
            more > _COMING
            or self.descriptors > before.descriptors + _OF_A_THREAD * more
            or self.children > before.children
        )


def at_rest(service: Service, serving: Serving) -> dict[str, Held]:
    """What supervisor, keeper and http server hold once they have nothing to do."""
    pids = {"supervisor": serving.pid, "keeper": serving.keeper, "http server": _front(serving)}
    eventually(lambda: not service.strays(), 60.0)
    seen: list[dict[str, Held]] = []

    def settled() -> bool:
        seen.append({name: Held.by(pid) for name, pid in pids.items()})
        return len(seen) > 10 and len({tuple(h.countable for h in held.values()) for held in seen[-10:]}) == 1

    eventually(settled, 60.0, 0.1)
    return {name: min((held[name] for held in seen[-10:]), key=lambda h: h.memory) for name in pids}


def _front(serving: Serving) -> int:
    serving.said("http_listening", 60.0)
    (pid,) = http_servers(serving.pid)
    return pid
