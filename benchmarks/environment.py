"""The virtual environment of the peers and of the library for charts, apart from ours: made when needed."""

import configparser
import subprocess
import sys

from benchmarks.measuring.contender import ROOT
from benchmarks.measuring.field import PEERS_PYTHON

_FOLDER = PEERS_PYTHON.parent.parent
_MADE = _FOLDER / ".installed"


def prepare() -> None:
    """Install the extra `bench` of setup.cfg, without ourselves. What cannot be had is named."""
    wanted = _wanted()
    if _MADE.exists() and _MADE.read_text() == _text(wanted):
        return
    print(f"Installing {len(wanted)} packages of others into {_FOLDER.name} ...", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", _FOLDER], check=True)
    if not _install(*wanted):
        missing = [each for each in wanted if not _install(each)]
        print(f"Could not be installed, and will be missing: {', '.join(missing)}.", file=sys.stderr)
        return
    _MADE.write_text(_text(wanted))


def _wanted() -> list[str]:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings["options.extras_require"]["bench"].split("\n")[1:]


def _install(*requirements: str) -> bool:
    command = [str(PEERS_PYTHON), "-m", "pip", "install", "-q", *requirements]
    return subprocess.run(command, check=False, stdout=sys.stderr).returncode == 0


def _text(wanted: list[str]) -> str:
    return "\n".join([sys.version, *wanted])
