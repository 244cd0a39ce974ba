"""The live server against its own OpenAPI document: schemathesis finds nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.server import HttpServer
from tests.cli.commandline import PlayedService

FEW = "10"
CASES = os.environ.get("SCHEMATHESIS_CASES", FEW)
"""For each operation; some thousands in all with 500."""


@pytest.mark.timeout(115 if CASES == FEW else 3000)
def test_schemathesis_finds_nothing(server: HttpServer, service: PlayedService, tmp_path: Path) -> None:
    for _ in range(3):
        service.start(server.submit()["id"])
        server.submit()
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"http://127.0.0.1:{server.port}/openapi.json",
            f"--max-examples={CASES}",
            "--checks=all",
            "--seed=1",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110 if CASES == FEW else 3000,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.get("/healthz").status == 200
