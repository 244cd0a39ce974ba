"""The service at work: four scenarios, run for real in a temporary folder and judged from outside.

Like a stranger it knows the command `asyncworker` and /proc, and nothing of what is behind them.
"""

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

try:
    from rich.console import Console
    from rich.live import Live
    from rich.markup import escape
    from rich.progress_bar import ProgressBar
    from rich.table import Table
except ImportError:
    sys.exit("The demo needs AsyncWorker installed for this Python; run it with: make demo")

# Under -P the folder of a script is not looked in; behind everything else it cannot shadow anything.
sys.path.append(str(Path(__file__).resolve().parents[1]))
from deploy.outside import COMMAND, PATIENCE, Broken, Job, Process, Service, until

COLOURS = {
    "Pending": "yellow",
    "InProgress": "cyan",
    "Completed": "green",
    "Failed": "red",
    "Cancelled": "magenta",
}


class Story:
    """What is done, what was promised, what was observed."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.broken = 0
        self._said = ""

    def chapter(self, number: int, title: str) -> None:
        self._said = ""
        self.console.print(f"\n[bold]{number}. {escape(title)}[/]")

    def did(self, what: str) -> None:
        self.console.print(f"   [dim]{escape(what)}[/]")

    def check(self, promised: str, observed: str, *, kept: bool) -> None:
        mark = "[green]✓[/]" if kept else "[red]✗[/]"
        self.broken += not kept
        self.console.print(f"   {mark} {escape(promised)}: [bold]{escape(observed)}[/]")

    def watch(self, look: Callable[[], list[Job]], done: Callable[[list[Job]], bool]) -> list[Job]:
        """Show jobs as they are, until they are as wanted."""
        deadline = time.monotonic() + PATIENCE
        with self._display() as display:
            while not done(jobs := look()):
                display(jobs)
                time.sleep(0.1)
                if time.monotonic() > deadline:
                    raise Broken(f"waited {PATIENCE:g} s, and these jobs are: {_counted(jobs)}")
        return jobs

    @contextlib.contextmanager
    def _display(self) -> Iterator[Callable[[list[Job]], None]]:
        if not self.console.is_terminal:
            yield self._say_counts
            return
        with Live(console=self.console, transient=True, refresh_per_second=8) as live:
            yield lambda jobs: live.update(_picture(jobs))

    def _say_counts(self, jobs: list[Job]) -> None:
        counted = _counted(jobs)
        if counted != self._said:
            self.did(f"... {counted}")
        self._said = counted


def _counted(jobs: list[Job]) -> str:
    return ", ".join(
        f"{number} {status}" for status, number in sorted(Counter(j["status"] for j in jobs).items())
    )


def _picture(jobs: list[Job]) -> Table:
    table = Table.grid(padding=(0, 2))
    for job in jobs:
        done = 1.0 if job["status"] == "Completed" else job["progress"]["fraction"] or 0.0
        status = f"[{COLOURS[job['status']]}]{job['status']}[/]"
        table.add_row("  ", job["type"], job["id"][:8], ProgressBar(1.0, done, width=30), status)
    return table


def ended(jobs: list[Job]) -> bool:
    return all(job["completedAt"] for job in jobs)


def most_at_once(jobs: list[Job]) -> int:
    """By the record: the largest number that were in progress at one moment."""
    changes = [(job["startedAt"], 1) for job in jobs] + [(job["completedAt"], -1) for job in jobs]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def seconds_of(job: Job) -> float:
    started, completed = (datetime.fromisoformat(job[key]) for key in ("startedAt", "completedAt"))
    return (completed - started).total_seconds()


def one_job(service: Service, story: Story) -> None:
    story.chapter(1, "A job is submitted, answered at once, and completes")
    story.did('asyncworker submit EmailJob \'{"to": "ada@example.org"}\'')
    began = time.monotonic()
    job = service.ask("submit", "EmailJob", '{"to": "ada@example.org"}')
    waited = time.monotonic() - began
    at_once = job["status"] == "Pending"
    story.check("answered at once, while it waits or runs", f"{waited:.2f} s, {job['status']}", kept=at_once)
    (job,) = story.watch(lambda: [service.jobs()[job["id"]]], ended)
    took = seconds_of(job)
    kept = job["status"] == "Completed" and took >= 5 and job["result"] == {"sent": {"to": "ada@example.org"}}
    story.check("Completed after its 5 seconds", f"{took:.2f} s, {job['status']}, {job['result']}", kept=kept)


def ten_jobs(service: Service, story: Story) -> None:
    story.chapter(2, "Ten jobs at once, of a type with three slots")
    story.did("asyncworker submit EmailJob    (ten times, together)")
    submits = [("submit", "EmailJob", str(number)) for number in range(10)]
    *answers, status = service.ask_together([*submits, ("status",)])
    ids = [job["id"] for job in answers]
    slots = [_slots(status)]

    def look() -> list[Job]:
        status, jobs = service.ask_together([("status",), ("list", "--page-size", "100")])
        slots.append(_slots(status))
        return [job for job in jobs["items"] if job["id"] in ids]

    jobs = story.watch(look, ended)
    seen, recorded = max(in_use for in_use, _ in slots), most_at_once(jobs)
    observed = f"{seen} seen, {recorded} by the record"
    story.check("never more than 3 InProgress", observed, kept=max(seen, recorded) <= 3)
    in_use, available = max(slots)
    observed = f"inUse {in_use}, available {available}"
    story.check("all slots in use meanwhile", observed, kept=(in_use, available) == (3, 0))
    completed = sum(job["status"] == "Completed" for job in jobs)
    story.check("all ten Completed", str(completed), kept=completed == 10)


def _slots(status: Any) -> tuple[int, int]:
    (mails,) = (each for each in status["concurrency"] if each["jobType"] == "EmailJob")
    return mails["inUse"], mails["available"]


def cancelled_job(service: Service, story: Story) -> None:
    story.chapter(3, "A job of 15 seconds is cancelled")
    story.did("asyncworker submit ReportJob")
    job_id = service.ask("submit", "ReportJob")["id"]
    (job,) = story.watch(lambda: [service.jobs()[job_id]], lambda jobs: jobs[0]["status"] != "Pending")
    process = Process.of(job["pid"])
    was_running = process.runs()
    story.did(f"asyncworker cancel {job_id[:8]}    (its process is {process.pid})")
    (job,) = service.ask("cancel", job_id)
    story.check(
        "Cancelled", f"{job['status']} after {seconds_of(job):.2f} s", kept=job["status"] == "Cancelled"
    )
    gone = was_running and not process.runs()
    story.check("its process is gone", f"{process.pid} is {'gone' if gone else 'there'}", kept=gone)


def killed_supervisor(service: Service, story: Story) -> None:
    story.chapter(4, "The supervisor gets SIGKILL while jobs run and others wait")
    commands = [("submit", "DataProcessJob"), *[("submit", "EmailJob", str(n)) for n in range(7)]]
    story.did("asyncworker submit ...    (1 DataProcessJob of 20 s, 7 EmailJobs for 3 slots)")
    ids = [job["id"] for job in service.ask_together(commands)]

    def look() -> list[Job]:
        found = service.jobs()
        return [found[each] for each in ids]

    jobs = story.watch(look, lambda jobs: jobs[0]["status"] == "InProgress")
    dead = jobs[0]["processInstanceId"]
    processes = service.processes()
    story.did("kill -KILL the supervisor")
    service.kill()
    took = until(lambda: not any(map(Process.runs, processes)), "the processes of the jobs to end")
    kept = jobs[0]["pid"] in [process.pid for process in processes]
    observed = f"{len(processes)} processes, all gone in {took:.3f} s"
    story.check("nothing it started outlives it", observed, kept=kept)
    ids.append(service.ask("submit", "EmailJob", '"submitted while no service runs"')["id"])
    at_death = look()
    ran, waited = ([job["id"] for job in at_death if job["status"] == s] for s in ("InProgress", "Pending"))
    story.did(f"as it was left: {_counted(at_death)}; asyncworker serve    (again)")
    service.start()
    jobs = story.watch(look, ended)
    failed = [job for job in jobs if job["id"] in ran and job["failureKind"] == "owner_died"]
    named = [job for job in failed if dead in job["errorMessage"]]
    kept = ids[0] in ran and len(failed) == len(ran)
    story.check("what ran is Failed, owner_died", f"{len(failed)} of {len(ran)}", kept=kept)
    kept = len(named) == len(ran)
    story.check("the message names the dead supervisor", jobs[0]["errorMessage"] or "no message", kept=kept)
    ok = [job for job in jobs if job["id"] in waited and job["status"] == "Completed"]
    kept = len(ok) == len(waited) > 0
    story.check("what waited has run", f"{len(ok)} of {len(waited)} Completed", kept=kept)


def run(service: Service, story: Story) -> None:
    story.console.print("[bold]AsyncWorker: each job in a process of its own[/]")
    story.did("asyncworker serve    (in a temporary folder)")
    service.start()
    for scenario in (one_job, ten_jobs, cancelled_job, killed_supervisor):
        scenario(service, story)


def main() -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    if complaint := _missing():
        print(f"The demo needs {complaint}", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    story, began = Story(), time.monotonic()
    service = Service(Path(tempfile.mkdtemp(prefix="asyncworker-demo-")))
    try:
        run(service, story)
    except KeyboardInterrupt:
        story.console.print("\nInterrupted; cleaning up.")
        return 130
    except (Broken, OSError, subprocess.TimeoutExpired) as error:
        story.check("the demo goes through", str(error), kept=False)
        story.console.print(service.log(), markup=False)
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        left = service.end()
        shutil.rmtree(service.folder, ignore_errors=True)
    if left:
        story.check("nothing is left running", f"{len(left)} processes had to be killed", kept=False)
    return _verdict(story, time.monotonic() - began)


def _missing() -> str | None:
    if not Path("/proc/self/stat").exists():
        return "Linux, with /proc"
    return None if COMMAND.exists() else f"the command {COMMAND}; run it with: make demo"


def _verdict(story: Story, seconds: float) -> int:
    if story.broken:
        story.console.print(
            f"\n[bold red]{story.broken} of the checks above did not come out as promised.[/]"
        )
        return 1
    story.console.print(f"\n[bold green]All four came out as promised, in {seconds:.0f} seconds.[/]")
    story.console.print("Now by hand: [bold]make run[/] here, and in another terminal:")
    story.console.print('  .venv/bin/asyncworker submit EmailJob \'{"to": "you@example.org"}\' --wait')
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
