"""What Celery's workers and its clients both import."""

import os

from celery import Celery

from benchmarks.jobs import chores

app = Celery("benchmarks", broker=os.environ["BENCHMARK_REDIS"], backend=os.environ["BENCHMARK_REDIS"])
app.conf.broker_connection_retry_on_startup = True
tasks = {name: app.task(getattr(chores, name), name=name) for name in ("stamp", "stay", "stay_deaf")}
