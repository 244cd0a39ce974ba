"""What a child does once for nothing while it waits, so that it is quick when its job comes.

A child shares the memory of its keeper, and the kernel copies a page when the child first writes to it; to
read a Python object is to write its reference count. Most of what happens between the gate and the job's
first line is that copying. What was done once has been copied.
"""

import json
import os

from workers import output, report
from workers.assignment import Assignment
from workers.confinement import Confinement
from workers.containment import surround
from workers.frames import Decoder, encode
from workers.limits import Limits

_SAMPLE = encode(
    Assignment(
        job_id="",
        job_type="",
        attempt=1,
        payload="{}",
        options={},
        handler=None,
        command=None,
        import_paths=[],
        log="/",
        output_limit=0,
        directory="/",
        private_directory=False,
        environment={},
        nice=0,
        timeout=None,
        grace=0.0,
        confinement=Confinement(),
        limits=Limits(),
    ).to_frame()
)


def rehearse() -> None:
    """Nothing that it does has an effect: no file, no signal, no word to the keeper."""
    (frame,) = Decoder().feed(_SAMPLE)
    job = Assignment.from_frame(frame)
    output.streams()
    surrounded = dict(os.environ)
    surround(surrounded | {"ASYNCWORKER_JOB_ID": ""}, job.nice)
    surround(surrounded, job.nice)
    job.context(json.loads(job.payload), _unheard)
    encode(report.returned(None))


def _unheard(_fraction: float, _message: str | None) -> None:
    """There is no progress."""
