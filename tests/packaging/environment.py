"""A virtual environment with nothing in it but what a test installs."""

import os
import subprocess
import sys
from pathlib import Path

_SET_BY_USERS = ("PIP_", "PYTHON", "VIRTUAL_ENV", "ASYNCWORKER_", "COVERAGE_")

HERMETIC = {name: value for name, value in os.environ.items() if not name.startswith(_SET_BY_USERS)} | {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INDEX": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}


class Environment:
    """One `python -m venv`; pip works on it from outside, which saves installing pip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._check([sys.executable, "-m", "venv", "--without-pip", str(folder)])

    @property
    def site_packages(self) -> Path:
        (found,) = self.folder.glob("lib/python3.*/site-packages")
        return found

    def install(self, wheel: Path) -> None:
        """Once more, too, if it is there already."""
        self._pip("install", "--no-deps", "--force-reinstall", str(wheel))

    def uninstall(self, distribution: str) -> None:
        self._pip("uninstall", "--yes", distribution)

    def run(
        self, *command: str, cwd: Path | None = None, pythonpath: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        env = HERMETIC | ({"PYTHONPATH": str(pythonpath)} if pythonpath else {})
        program = str(self.folder / "bin" / command[0])
        return subprocess.run(
            [program, *command[1:]],
            cwd=cwd or self.folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    def _pip(self, *arguments: str) -> None:
        self._check([sys.executable, "-m", "pip", "--python", str(self.python), "-q", *arguments])

    def _check(self, command: list[str]) -> None:
        subprocess.run(command, env=HERMETIC, check=True, capture_output=True)
