"""Runs Python actions: a warm interpreter that forks one process for each of them.

The server talks over a socket of whole messages, which is standard input at the start. A message is
a JSON object, with open files beside it: the job, where the result goes, and for a forked process
its standard output and error. `{"id": 1, "fork": true}` is answered by `{"id": 1, "pid": 7}` and at
the end by `{"id": 1, "code": 0}`, or by `{"id": 1, "refused": "why"}` if there can be no process.
Without `fork` this process itself becomes the action. The first message says `{"ready": true}`.

Nothing of a pack is imported before the fork, so nothing of one reaches another.
"""

import array
import atexit
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
# Behind all else: whatever a pack's environment brings comes first.
sys.path[:] = [path for path in sys.path if path not in (HERE, "")] + [HERE]

from python_runner import python_action_wrapper  # noqa: E402
import st2actions.runners.pythonrunner  # noqa: E402,F401
import st2common.runners.base_action  # noqa: E402,F401

MESSAGE_BYTES_MAX = 4096
FILES_MAX = 4
# When memory runs out, the kernel is to end an action rather than the server (-1000 to 1000).
OOM_SCORE_ADDED = 500


def take_control():
    """The socket; standard input is empty from then on."""
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return control


def receive(control):
    """The next message and its files; None when the server is gone."""
    size = array.array("i").itemsize
    try:
        data, ancillary, _, _ = control.recvmsg(
            MESSAGE_BYTES_MAX, socket.CMSG_SPACE(FILES_MAX * size), socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return None
    if not data:
        return None
    files = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(content[: len(content) - len(content) % size])
    return json.loads(data), list(files)


def send(control, message):
    try:
        control.sendall(json.dumps(message).encode())
    except ConnectionError:
        # The server is gone; the next read says so too.
        pass


def report_ended(control, running):
    while running:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        number = running.pop(pid, None)
        if number is not None:
            send(control, {"id": number, "code": code})


def serve(control):
    """Forks until the server is gone (None), or until this is a process to run a job (its files)."""
    waker, woken = os.pipe()
    for end in (waker, woken):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    running = {}
    send(control, {"ready": True})
    while True:
        ready, _, _ = select.select([control, waker], [], [])
        if waker in ready:
            try:
                os.read(waker, 4096)
            except BlockingIOError:
                pass
            report_ended(control, running)
        if control not in ready:
            continue
        received = receive(control)
        if received is None:
            return None
        message, files = received
        if not message["fork"]:
            control.close()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return files
        try:
            pid = os.fork()
        except OSError as error:
            for file in files:
                os.close(file)
            send(control, {"id": message["id"], "refused": str(error)})
            continue
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            os.close(waker)
            os.close(woken)
            detach(files)
            return files[:2]
        for file in files:
            os.close(file)
        running[pid] = message["id"]
        send(control, {"id": message["id"], "pid": pid})


def detach(files):
    """Makes a forked process as separate as a fresh one."""
    os.setsid()
    os.dup2(files[2], 1)
    os.dup2(files[3], 2)
    os.close(files[2])
    os.close(files[3])


def processes_max():
    """How many processes the user may have by the limits of this one; None if there is no bound."""
    bounds = [resource.getrlimit(resource.RLIMIT_NPROC)[0]]
    try:
        with open("/proc/self/cgroup") as groups:
            paths = [line.rstrip("\n").split(":", 2)[1:] for line in groups]
        for names, path in paths:
            root = "/sys/fs/cgroup" if names == "" else "/sys/fs/cgroup/pids"
            if names in ("", "pids"):
                with open(root + path + "/pids.max") as limit:
                    bounds.append(int(limit.read()))
    except (OSError, ValueError):
        # There is no such group, or it has no bound.
        pass
    bounds = [bound for bound in bounds if bound != resource.RLIM_INFINITY]
    return min(bounds, default=None)


def limit():
    """Leaves the server and its neighbours room beside this process and all that it will start."""
    try:
        with open("/proc/self/oom_score_adj", "r+") as score:
            added = min(int(score.read()) + OOM_SCORE_ADDED, 1000)
            score.seek(0)
            score.write(str(added))
    except (OSError, ValueError):
        # The kernel has its own idea of whom to end, then.
        pass
    bound = processes_max()
    if bound is not None:
        # A fork bomb stops here, and a quarter is left for whoever has the limit of before.
        most = bound * 3 // 4
        try:
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
        except (OSError, ValueError):
            pass


def write_journal(path, execution_id):
    """What the server needs to find this process again after it died."""
    with open("/proc/self/stat", "rb") as stat:
        start = stat.read().rsplit(b")", 1)[1].split()[19].decode()
    with open("/proc/sys/kernel/random/boot_id") as boot:
        line = "%d %s %s %s\n" % (os.getpid(), start, boot.read().strip(), execution_id)
    with open(path, "w") as journal:
        journal.write(line)


def run(files):
    with os.fdopen(files[0], "rb") as source:
        job = json.loads(source.read())
    limit()
    write_journal(job["journal"], job["execution_id"])
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    sys.path[:0] = job["path"]
    if job["shared"] and job["shared"] not in sys.path:
        # Before our own files, which are last: behind all that the pack has.
        sys.path.insert(len(sys.path) - 1, job["shared"])
    sys.argv[:] = [python_action_wrapper.__file__]
    code = 0
    try:
        python_action_wrapper.main(job, files[1])
    except SystemExit as error:
        code = error.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    leave(code)


def leave(code):
    """Ends as an interpreter does, but leaves the taking apart of its memory to the kernel, which
    would have to copy every page first that is shared with the warm interpreter."""
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            # Nobody reads any more.
            pass
    os._exit(code & 0xFF)


if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    files = serve(take_control())
    if files is not None:
        run(files)
