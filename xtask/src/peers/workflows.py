"""Times the reference conductor on workflows that lie in the directory given.

Prints one line per workflow: name, tab, tasks per second of CPU. The first line tells the versions.
Every task is polled, marked running and completed with a result. States are kept in memory: the
reference is not asked to write them, though its host does so after every step.
"""

import importlib.metadata
import pathlib
import platform
import sys
import time

from orquesta import conducting, events, statuses
from orquesta.specs import native

# What ends within a minute or two; the reference's cost grows with the square of the tasks.
CASES = (
    ("sequence 10", 20),
    ("sequence 100", 2),
    ("sequence 1,000", 1),
    ("fan-out and join 100", 1),
)


def run(spec):
    conductor = conducting.WorkflowConductor(spec)
    conductor.request_workflow_status(statuses.RUNNING)
    running, actions = [], 0
    while True:
        for task in conductor.get_next_tasks():
            for _ in task["actions"]:
                event = events.ActionExecutionEvent(statuses.RUNNING)
                conductor.update_task_state(task["id"], task["route"], event)
                running.append((task["id"], task["route"]))
        if not running:
            break
        task, route = running.pop(0)
        actions += 1
        event = events.ActionExecutionEvent(statuses.SUCCEEDED, result="done")
        conductor.update_task_state(task, route, event)
    status = conductor.get_workflow_status()
    assert status == statuses.SUCCEEDED, status
    return actions


def main():
    version = importlib.metadata.version("orquesta")
    print(f"orquesta {version} on CPython {platform.python_version()}", flush=True)
    directory = pathlib.Path(sys.argv[1])
    for name, times in CASES:
        text = (directory / f"{name}.yaml").read_text()
        spec = native.WorkflowSpec(text)
        problems = spec.inspect()
        assert not problems, problems
        start = time.process_time()
        actions = sum(run(spec) for _ in range(times))
        print(f"{name}\t{actions / (time.process_time() - start):.2f}", flush=True)


main()
