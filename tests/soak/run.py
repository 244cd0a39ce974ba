"""`make soak`: what a service holds after each thousand jobs, up to twenty thousand."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.soak import load, measure
from tests.support.service import Service

WARM = 4
"""What is held after one part of so many is compared with: until then SQLite's page cache fills up."""
GROWTH = 2048
"""KiB that memory may have grown by from then on: what SQLite caches of pages for one connection. The http
server keeps up to four, and how soon each of them has been used that much is up to its threads."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=1_000, help="jobs between two measurements")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="asyncworker-soak-") as folder:
        service = Service(Path(folder), load.TYPES)
        try:
            return _soak(service, given.jobs, given.every)
        finally:
            service.end()


def _soak(service: Service, jobs: int, every: int) -> int:
    serving = service.serve("-P", "-m", "supervisor", ASYNCWORKER_HTTP="").ready()
    first: dict[str, measure.Held] = {}
    held = first
    print(f"{'jobs':>6} {'process':<12} {'KiB':>9} {'fds':>4} {'threads':>8} {'children':>9} {'seconds':>8}")
    began = time.monotonic()
    for done in range(every, jobs + 1, every):
        load.run(service, every)
        held = measure.at_rest(service, serving)
        first = first or (held if done >= jobs / WARM else {})
        for name, each in held.items():
            print(
                f"{done:>6} {name:<12} {each.memory:>9} {each.descriptors:>4} {each.threads:>8}"
                f" {each.children:>9} {time.monotonic() - began:>8.0f}",
                flush=True,
            )
    return _judge(first, held)


def _judge(first: dict[str, measure.Held], last: dict[str, measure.Held]) -> int:
    grown = {name: last[name].memory - held.memory for name, held in first.items()}
    leaks = [f"{name}: {by} KiB more memory" for name, by in grown.items() if by > GROWTH]
    leaks += [
        f"{name}: descriptors, threads, children {held.countable} became {last[name].countable}"
        for name, held in first.items()
        if last[name].grown_since(held)
    ]
    print("\n".join([*(f"{name} {by:+} KiB" for name, by in grown.items()), *leaks]))
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
