"""The three sample job types: simulated work with output and progress, as long as `options` says."""

import time
from typing import Any

from workers.context import JobContext


def send_email(payload: Any, job: JobContext) -> dict[str, Any]:
    """Pretend to send a mail."""
    _work(job, f"sending {payload!r}", default_milliseconds=5000)
    return {"sent": payload}


def process_data(payload: Any, job: JobContext) -> dict[str, Any]:
    """Pretend to crunch a file."""
    _work(job, f"processing {payload!r}", default_milliseconds=10000)
    return {"processed": payload}


def render_report(payload: Any, job: JobContext) -> dict[str, Any]:
    """Pretend to render a report."""
    _work(job, f"rendering {payload!r}", default_milliseconds=15000)
    return {"rendered": payload}


def _work(job: JobContext, what: str, default_milliseconds: float, steps: int = 10) -> None:
    pause = float(job.options.get("delay_milliseconds", default_milliseconds)) / 1000 / steps
    print(f"{job.type} {job.id}, attempt {job.attempt}: {what}")
    for step in range(1, steps + 1):
        time.sleep(pause)
        job.progress(step / steps, f"step {step} of {steps}")
        print(f"step {step} of {steps} done")
