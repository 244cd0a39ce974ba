"""Who takes part: those whose programs and modules this machine has. The others are named."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from benchmarks.measuring.contender import ROOT, Broken, Contender, Kind

T = TypeVar("T")

PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
"""The environment of the peers, apart from ours: their dependencies are not to mix."""

OURS = Kind("AsyncWorker", "asyncworker")
OURS_WITHOUT_TCP = Kind("AsyncWorker, --no-http", "asyncworker", "no http")
BARE = Kind("bare loop", "bare")
EXECUTOR = Kind("ProcessPoolExecutor, 1 task a child", "executor")
RQ = Kind("RQ", "rq", needs=("rq",), redis=True)
CELERY = Kind("Celery, 1 task a child", "celery", "recycled", needs=("celery", "redis"), redis=True)
CELERY_STANDING = Kind("Celery, standing pool", "celery", needs=("celery", "redis"), redis=True)
PROCRASTINATE = Kind("Procrastinate", "", needs=("procrastinate",))
"""Its commands only: it needs PostgreSQL."""
HUEY = Kind("Huey on SQLite, -M 1", "huey", "recycled", needs=("huey",))
HUEY_STANDING = Kind("Huey on SQLite, standing processes", "huey", needs=("huey",))


class Field:
    """Those of the contenders that can be measured here, and for each other the reason."""

    def __init__(self, *kinds: Kind) -> None:
        reasons = [(kind, _lacking(kind)) for kind in kinds]
        self.present = [kind for kind, reason in reasons if reason is None]
        self.absent = [f"{kind.name} ({reason})" for kind, reason in reasons if reason is not None]

    def enter(self, kind: Kind) -> Contender:
        return Contender(kind, PEERS_PYTHON if kind.needs else Path(sys.executable))

    def attempt(self, kind: Kind, measure: Callable[[], T]) -> T | None:
        """None where a peer has failed: it takes no further part, and no other has to suffer for it."""
        try:
            return measure()
        except (Broken, TimeoutError) as error:
            if not kind.needs:
                raise
            self.present.remove(kind)
            self.absent.append(f"{kind.name} (it failed: {error})")
            return None


@cache
def _lacking(kind: Kind) -> str | None:
    if kind.redis and shutil.which("redis-server") is None:
        return "no redis-server is installed"
    missing = [module for module in kind.needs if not _imports(module)]
    return f"{', '.join(missing)} could not be installed" if missing else None


@cache
def _imports(module: str) -> bool:
    if not PEERS_PYTHON.exists():
        return False
    command = [str(PEERS_PYTHON), "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
