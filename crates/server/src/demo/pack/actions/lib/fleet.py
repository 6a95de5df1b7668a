"""The servers on this machine: each is a process with a configuration, a pid file and a log.

A server outlives the action that started it. Its pid file also holds when the process started, so
that a later process with the same number is never taken for it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
SERVERS_MAX = 50
READY_SECONDS = 15
STOP_SECONDS = 5
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "http_server.py")

# This machine's servers are asked directly, whatever proxy the environment names.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """Why an operation did not succeed."""


def read(document):
    """The servers that a document asks for, by name, and all that is wrong with it."""
    hint = "it must look like `servers: {web: {port: 8080, settings: {greeting: hello}}}`"
    if not isinstance(document, dict) or "servers" not in document:
        return {}, ["there is no `servers` in it; " + hint]
    problems = ["`%s` is not known; only `servers` is" % key for key in document if key != "servers"]
    entries = document["servers"]
    if entries is None:
        entries = {}
    if not isinstance(entries, dict):
        return {}, problems + ["`servers` must have a name for each server; " + hint]
    if len(entries) > SERVERS_MAX:
        problems.append("%d servers are more than the %d allowed" % (len(entries), SERVERS_MAX))
    servers, ports = {}, {}
    for name, entry in entries.items():
        server, found = read_one(name, entry)
        problems += found
        if found:
            continue
        other = ports.setdefault(server["port"], name)
        if other != name:
            problems.append("`%s` and `%s` both want port %d" % (other, name, server["port"]))
        servers[name] = server
    return servers, problems


def read_one(name, entry):
    """One entry as a server, and what is wrong with it."""
    if not isinstance(name, str) or not NAME.match(name):
        return None, ["`%s` is no name: use lower-case letters, digits and `-`" % (name,)]
    if not isinstance(entry, dict):
        return None, ["`%s` must have a `port`, and may have `settings`" % name]
    problems = [
        "`%s`: `%s` is not known; a server has `port` and `settings`" % (name, key)
        for key in entry
        if key not in ("port", "settings")
    ]
    port = entry.get("port")
    if isinstance(port, bool) or not isinstance(port, int) or not 1024 <= port <= 65535:
        problems.append("`%s`: `port` must be a number from 1024 to 65535, not %r" % (name, port))
    settings = entry.get("settings")
    if settings is None:
        settings = {}
    if not isinstance(settings, dict):
        problems.append("`%s`: `settings` must be names with values" % name)
    return {"name": name, "port": port, "settings": settings}, problems


def path_of(directory, name, kind):
    return os.path.join(directory, "servers", "%s.%s" % (name, kind))


def write(path, text):
    """Replaces a file as a whole: no reader sees half of it."""
    fresh = "%s.%d.new" % (path, os.getpid())
    with open(fresh, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(fresh, path)


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def started_at(number):
    """When a process started, in ticks after boot; None when it does not run."""
    try:
        with open("/proc/%d/stat" % number, encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def pid(directory, name):
    """The process of a server; None when it does not run."""
    entry = load(path_of(directory, name, "pid"))
    if entry and started_at(entry["pid"]) == entry["started"]:
        return entry["pid"]
    return None


def deployed(directory):
    """The servers that run, by name, as they were last configured."""
    found = {}
    try:
        files = os.listdir(os.path.join(directory, "servers"))
    except FileNotFoundError:
        files = []
    for file in files:
        name, kind = os.path.splitext(file)
        if kind == ".pid" and pid(directory, name) is not None:
            server = load(path_of(directory, name, "json"))
            if server is not None:
                found[name] = server
    return found


def ask(port):
    """What answers on a port; None when nothing sensible does."""
    try:
        with DIRECT.open("http://127.0.0.1:%d/" % port, timeout=5) as answer:
            document = json.loads(answer.read(1 << 20))
    except (OSError, ValueError, urllib.error.URLError):
        return None
    return document if isinstance(document, dict) else None


def until(seconds, condition):
    """Waits for a condition; returns whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def start(directory, server):
    """Starts a server and returns its process number once it answers."""
    name, port = server["name"], server["port"]
    os.makedirs(os.path.join(directory, "servers"), exist_ok=True)
    configuration = path_of(directory, name, "json")
    log = path_of(directory, name, "log")
    write(configuration, json.dumps(server))
    with open(log, "wb") as output:
        # A session and an environment of its own: it belongs to no execution and stays.
        process = subprocess.Popen(
            [sys.executable, "-I", PROGRAM, configuration],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=directory,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": directory},
            start_new_session=True,
        )
    entry = {"pid": process.pid, "started": started_at(process.pid)}
    write(path_of(directory, name, "pid"), json.dumps(entry))
    until(READY_SECONDS, lambda: ask(port) == server or process.poll() is not None)
    if process.poll() is None and ask(port) == server:
        return process.pid
    process.kill()
    process.wait()
    reason = open(log, encoding="utf-8", errors="replace").read().strip().splitlines()
    forget(directory, name)
    last = reason[-1] if reason else "it did not answer within %d seconds" % READY_SECONDS
    raise Failed("%s did not start on port %d: %s" % (name, port, last))


def change(directory, server):
    """Gives a running server other settings; its process stays the same."""
    name = server["name"]
    number = pid(directory, name)
    if number is None:
        return start(directory, server)
    write(path_of(directory, name, "json"), json.dumps(server))
    os.kill(number, signal.SIGHUP)
    if not until(READY_SECONDS, lambda: ask(server["port"]) == server):
        raise Failed("%s did not take its new settings" % name)
    return number


def stop(directory, name):
    """Stops a server; returns the number of the process that was ended, if there was one."""
    number = pid(directory, name)
    if number is not None:
        for kind, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            try:
                os.kill(number, kind)
            except ProcessLookupError:
                break
            if until(seconds, lambda: pid(directory, name) is None):
                break
        else:
            raise Failed("%s, process %d, cannot be stopped" % (name, number))
    forget(directory, name)
    return number


def forget(directory, name):
    for kind in ("pid", "json", "log"):
        try:
            os.remove(path_of(directory, name, kind))
        except FileNotFoundError:
            pass
