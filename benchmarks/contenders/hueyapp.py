"""What Huey's consumer and its clients both import."""

import os

from huey import SqliteHuey

from benchmarks.jobs import chores

queue = SqliteHuey("benchmarks", filename=os.environ["BENCHMARK_HUEY"])
stamp = queue.task(name="stamp")(chores.stamp)
