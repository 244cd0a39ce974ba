"""`make bench`: measure, and write tables and charts into a folder of results."""

import argparse
import importlib
import json
import os
import platform
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import aims, environment
from benchmarks.documenting import document
from benchmarks.measuring.contender import ROOT, Broken
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.field import PEERS_PYTHON
from benchmarks.measuring.report import Report

ALL = ("drain", "latency", "submits", "depth", "idle", "cancel", "commands")
_HERE = Path(__file__).resolve().parent


def main() -> int:
    asked = _arguments()
    folder = Path(asked.to) if asked.to else _HERE / "results" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True, exist_ok=True)
    extent = Extent(asked.quick, asked.rounds or (1 if asked.quick else 3))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or every process would compile its modules anew
    environment.prepare()
    began = time.monotonic()
    reports: dict[str, Report] = {}
    failures = 0
    for name in asked.parts or ALL:
        try:
            reports[name] = importlib.import_module(f"benchmarks.{name}").run(extent)
        except (Broken, TimeoutError) as error:
            failures += 1
            print(f"The benchmark {name} could not be made: {error}", file=sys.stderr)
            continue
        print(reports[name].markdown(), flush=True)
        _write(folder, reports, extent, time.monotonic() - began)
    if not reports:
        return 1
    _draw(folder)
    if asked.document:
        document(folder, ROOT / "docs" / "performance.md")
    print((folder / "table.md").read_text().partition("\n## ")[0])
    print(f"Tables, charts and figures: {folder}")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure AsyncWorker beside its peers.")
    parser.add_argument("parts", nargs="*", choices=[*ALL, []], help="only these; by default all")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the figures mean little")
    parser.add_argument("--rounds", type=int, help="how often everything is repeated; by default 3")
    parser.add_argument("--document", action="store_true", help="put the results into docs/performance.md")
    parser.add_argument("--to", help="the folder for the results; by default benchmarks/results/TIME")
    return parser.parse_args()


def _write(folder: Path, reports: dict[str, Report], extent: Extent, seconds: float) -> None:
    figures = {name: values for report in reports.values() for name, values in report.figures.items()}
    head = [_machine(extent, seconds), "", aims.table(figures).markdown(), ""]
    (folder / "table.md").write_text("\n".join([*head, *(each.markdown() for each in reports.values())]))
    charts = [chart.plain() for report in reports.values() for chart in report.charts]
    (folder / "figures.json").write_text(json.dumps({"figures": figures, "charts": charts}, indent=1))


def _machine(extent: Extent, seconds: float) -> str:
    """What the figures were taken on; how busy it was with other things."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} processors, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; "
        f"{extent.turns} rounds, {seconds / 60:.0f} minutes, load averages at the end {load}. "
        "Medians, and in brackets the lowest and the highest round."
        + (" A smoke run: the figures mean little." if extent.quick else "")
    )


def _draw(folder: Path) -> None:
    """In the environment of the peers: a library for charts is nothing that a service needs."""
    command = [str(PEERS_PYTHON), "-P", str(_HERE / "charts.py"), str(folder)]
    if not PEERS_PYTHON.exists() or subprocess.run(command, check=False).returncode != 0:
        print("No charts: matplotlib could not be installed in .venv-bench.", file=sys.stderr)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
