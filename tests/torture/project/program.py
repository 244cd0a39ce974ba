"""A job that is a program: it writes down what the handlers of deeds.py do."""

import json
import os
import sys
import time
from pathlib import Path


def note(runs: str, event: str) -> None:
    """As chores.py has it, of what a program is told."""
    stat = Path(f"/proc/{os.getpid()}/stat").read_text()
    facts = {
        "job": os.environ["ASYNCWORKER_JOB_ID"],
        "attempt": int(os.environ["ASYNCWORKER_ATTEMPT"]),
        "event": event,
        "pid": os.getpid(),
        "ticks": int(stat[stat.rindex(")") + 2 :].split()[19]),
        "at": time.monotonic(),
        "wall": time.time_ns() // 1_000_000,
    }
    descriptor = os.open(runs, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, json.dumps(facts).encode() + b"\n")
    os.close(descriptor)


payload = json.load(sys.stdin)
note(payload["runs"], "start")
time.sleep(payload["seconds"])
note(payload["runs"], "end")
