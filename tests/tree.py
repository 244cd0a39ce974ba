"""What belongs to the project: every file that is tracked, or would be after `git add`."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("supervisor", "workers", "cli")

_MADE = {".git", "__pycache__", "build", "dist", ".hypothesis"}


def project_files() -> list[Path]:
    """Paths below ROOT. Without git (an unpacked archive), everything that no tool of ours has made."""
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(listing, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        listed = b""
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    return sorted(Path(name) for name in names or map(str, _walk()) if (ROOT / name).is_file())


def _walk() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not _is_made(name)]
        yield from ((Path(folder) / name).relative_to(ROOT) for name in names if not _is_made(name))


def _is_made(name: str) -> bool:
    return name in _MADE or name.startswith((".venv", ".coverage")) or name.endswith(("_cache", ".egg-info"))
