"""The life of one pack: installed, counted, tested, run, disabled, reloaded, removed."""

import glob
import importlib
import os
import re
import shutil
import subprocess
import tempfile

from server import Refused, TooLate, wait_for

# Directory of the pack, what the API calls it.
KINDS = {
    "actions": "/actions",
    "sensors": "/sensortypes",
    "rules": "/rules",
    "aliases": "/actionalias",
    "policies": "/policies",
    "triggers": "/triggertypes",
}
# Tests that go to the internet, or to a service that is not this machine's.
ELSEWHERE = {
    "git": {"test_setup (test_commit_sensor.GitCommitSensorTestCase.test_setup)"},
}
# Packs that stand over one that ships with the server, which no installation does.
GIVEN = {"examples"}
# Metadata files that the reference refuses as well, and why.
REFUSED = {}
FAILED_TEST = re.compile(r"^(?:ERROR|FAIL): (.+)$", re.MULTILINE)


class Life:
    def __init__(self, name, path, server, report):
        self.name = name
        self.path = os.path.abspath(path)
        self.server = server
        self.report = report
        self.before = []
        self.ended = False
        self.is_given = name in GIVEN
        if self.is_given:
            shutil.copytree(self.path, os.path.join(server.given, name))

    def run(self):
        print("=== %s" % self.name, flush=True)
        self.before = self.left_overs()
        if not self.part("installs", self.install):
            return
        self.part("registers", self.registers)
        self.part("passes its own tests", self.tests)
        try:
            run = importlib.import_module("runs." + self.name)
        except ModuleNotFoundError as missing:
            if missing.name != "runs." + self.name:
                raise
            run = None
        if run:
            self.part("does its end-to-end run", lambda: run.run(self))
        self.ended = True

    def end(self):
        print("=== %s again" % self.name, flush=True)
        if self.ended and not self.is_given:
            self.part("can be disabled, reloaded and removed", lambda: self.leave(self.before))

    def part(self, what, do):
        try:
            return do() is not False
        except Exception:
            self.report.broken(self.name, what)
            return False

    def check(self, what, holds, detail=""):
        return self.report.check(self.name, what, holds, detail)

    @property
    def directory(self):
        base = self.server.given if self.is_given else os.path.join(self.server.data, "installed")
        return os.path.realpath(os.path.join(base, self.name))

    def install(self):
        if self.is_given:
            done = self.server.run("packs.setup_virtualenv", {"packs": [self.name]}, seconds=900)
            return self.check("has an environment", done["status"] == "succeeded", done["result"])
        done = self.server.run("packs.install", {"packs": ["file://" + self.path]}, seconds=900)
        return self.check("installs", done["status"] == "succeeded", done["result"])

    def registers(self):
        registered = self.server.post("/packs/register", {"packs": [self.name]})
        findings = registered.get("findings", [])
        errors = [finding for finding in findings if finding["severity"] == "error"]
        refused = REFUSED.get(self.name, {})
        unexpected = [error for error in errors if error["file"] not in refused]
        self.check("no file is refused that the reference accepts", not unexpected, unexpected)
        for directory, place in KINDS.items():
            files = [
                path for pattern in ("*.yaml", "*.yml")
                for path in glob.glob(os.path.join(self.directory, directory, pattern))
            ]
            relative = {os.path.relpath(path, self.directory) for path in files}
            wanted = len(relative - set(refused))
            if wanted:
                found = self.of_pack(place)
                if directory == "triggers":
                    found = [one for one in found if "triggers/" in one.get("metadata_file", "")]
                self.check(
                    "%d %s are registered" % (wanted, directory), len(found) == wanted, len(found)
                )

    def of_pack(self, place):
        return [one for one in self.server.get(place, limit=-1) if one.get("pack") == self.name]

    def tests(self):
        done = subprocess.run(
            [
                self.server.squall, "pack", "test", self.directory, "--cache", self.server.cache,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        last = (done.stdout.strip().splitlines() or [""])[-1]
        if done.returncode == 5:
            self.report.note(self.name, "it has no tests")
            return
        failed = set(FAILED_TEST.findall(done.stdout)) - ELSEWHERE.get(self.name, set())
        passed = done.returncode == 0 or (done.returncode == 1 and not failed)
        self.check("its own tests: %s" % last, passed, done.stdout[-1500:])

    def configure(self, **values):
        self.server.put("/configs/" + self.name, values)

    def start_sensor(self, name, seconds=90):
        """Starts a sensor anew with what is configured now, and waits until it runs."""
        reference = "%s.%s" % (self.name, name)

        def restarted():
            try:
                return self.server.post("/sensortypes/%s/restart" % reference, {})
            except Refused as refused:
                # It has only just been registered, or is about to start with its configuration.
                if refused.status == 409:
                    return None
                raise

        wait_for("the restart of %s" % reference, restarted)
        return self.server.wait_sensor(reference, "running", seconds)

    def succeeds(self, what, action, parameters=None, **more):
        """The result of an action that has to succeed."""
        done = self.server.run(action, parameters, **more)
        self.check(what, done["status"] == "succeeded", (done["status"], done.get("result")))
        return done.get("result") or {}

    def gives(self, action, parameters, wanted, what=None):
        """Checks the result of a Python action."""
        result = self.server.run(action, parameters).get("result") or {}
        self.check(what or "%s gives what it should" % action, result.get("result") == wanted, result)

    def leave(self, before):
        for kind in ("/actions", "/sensortypes", "/rules"):
            for one in self.of_pack(kind)[:1]:
                self.disable(kind, one)
        again = self.server.post("/packs/register", {"packs": [self.name]})
        self.check("it is registered again as before", again.get("actions", 0) >= 0, again)
        done = self.server.run("packs.uninstall", {"packs": [self.name]})
        self.check("it is removed", done["status"] == "succeeded", done.get("result"))
        try:
            # The interpreter that was kept warm for it goes a little later.
            wait_for("the end of its processes", lambda: not self.processes(), 30)
        except TooLate:
            pass
        after = self.left_overs()
        self.check("nothing is left of it", after == before, after)

    def disable(self, kind, one):
        changed = dict(one, enabled=False)
        path = "%s/%s" % (kind, one["ref"])
        answer = self.server.put(path, changed)
        self.check("%s can be disabled" % one["ref"], answer["enabled"] is False, answer)

    def left_overs(self):
        """All that the server and its disk hold of the pack, its configuration apart."""
        places = list(KINDS.values()) + ["/packs", "/config_schemas"]
        held = []
        for place in places:
            try:
                found = self.server.get(place, limit=-1)
            except Refused as refused:
                found = [{"pack": self.name, "ref": str(refused)}]
            for one in found:
                if self.name in (one.get("pack"), one.get("ref")):
                    held.append("%s %s" % (place, one.get("ref") or one.get("pack")))
        for place in ("installed", "virtualenvs"):
            path = os.path.join(self.server.data, place, self.name)
            if os.path.lexists(path):
                held.append(path)
        held.extend(glob.glob(os.path.join(self.server.data, "pack-versions", "*", self.name)))
        held.extend(self.processes())
        return held

    def processes(self):
        """Processes that run a file of the pack."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    words = file.read().decode("utf-8", "replace").split("\0")
            except OSError:
                continue
            inner = "/%s/" % self.name
            if any(self.server.data in word and inner in word for word in words):
                found.append(" ".join(words))
        return found

    def place(self):
        """A directory for files of the run, which goes with the server."""
        return tempfile.mkdtemp(prefix=self.name + "-", dir=self.server.place)
