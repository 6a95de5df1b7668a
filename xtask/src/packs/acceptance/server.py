"""A server of its own, and its API."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

ENDED = ("succeeded", "failed", "timeout", "canceled", "abandoned")
# Where some packs believe StackStorm to be.
ROOT = "/opt/stackstorm"
LOOK_SECONDS = 0.1
START_SECONDS = 120


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__("%d: %s" % (status, text))
        self.status = status
        self.text = text


class TooLate(Exception):
    pass


def wait_for(what, look, seconds=60):
    """What `look` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise TooLate("%s has not come within %d s" % (what, seconds))
        time.sleep(LOOK_SECONDS)


class Server:
    """Runs for as long as the `with` does."""

    def __init__(self, squall, place, cache):
        self.squall = squall
        self.place = place
        self.cache = cache
        self.data = os.path.join(place, "data")
        self.bin = os.path.join(place, "bin")
        # Packs that the server uses where they are.
        self.given = os.path.join(place, "given")
        self.key_file = os.path.join(place, "id_ed25519")
        self.variables = {}
        self.arguments = ["--ssh-key-file", self.key_file, "--packs", self.given, "--common-libs"]
        self.made_root = False
        self.process = None
        self.url = self.token = None
        os.makedirs(self.bin)
        os.makedirs(self.given)

    def __enter__(self):
        os.makedirs(self.data, mode=0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key_file], check=True)
        if not os.path.exists(os.path.join(ROOT, "packs")):
            # Some packs have these paths written into them; another run may be using them.
            self.made_root = not os.path.exists(ROOT)
            self.arguments += ["--stackstorm-root", ROOT]
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        address = os.path.join(self.place, "address")
        if os.path.exists(address):
            os.unlink(address)
        variables = dict(os.environ, **self.variables)
        variables["PATH"] = "%s:%s" % (self.bin, variables["PATH"])
        self.log = open(os.path.join(self.place, "log"), "ab")
        self.process = subprocess.Popen(
            [
                self.squall, "serve", "--data", self.data, "--listen", "127.0.0.1:0",
                "--address-file", address, "--log-level", "info",
                *self.arguments,
            ],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=variables,
        )

        def ready():
            if self.process.poll() is not None:
                raise RuntimeError("the server ended: see %s" % self.log.name)
            return os.path.exists(address) and open(address).read()

        self.url = wait_for("the server's address", ready, START_SECONDS)
        with open(os.path.join(self.data, "local-token")) as token:
            self.token = token.read()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self.process = None
        self.log.close()

    def restart(self):
        self.stop()
        self.start()

    def remove(self):
        for name in ("packs", "virtualenvs", "configs", "st2"):
            link = os.path.join(ROOT, name)
            if os.path.islink(link) and os.readlink(link).startswith(self.place):
                os.unlink(link)
        if self.made_root and not os.listdir(ROOT):
            os.rmdir(ROOT)
        shutil.rmtree(self.place, ignore_errors=True)

    def program(self, name, text):
        """An executable on the path of the server's actions."""
        path = os.path.join(self.bin, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def call(self, method, path, body=None, headers=None):
        request = urllib.request.Request(
            self.url + "/api/v1" + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=dict({"X-Auth-Token": self.token, "Content-Type": "application/json"},
                         **headers or {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode("utf-8", "replace")) from None
        return json.loads(text) if text else None

    def get(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return self.call("GET", path)

    def post(self, path, body):
        return self.call("POST", path, body)

    def put(self, path, body):
        return self.call("PUT", path, body)

    def delete(self, path):
        return self.call("DELETE", path)

    def start_action(self, action, parameters=None, **more):
        body = dict(action=action, parameters=parameters or {}, **more)
        return self.post("/executions", body)["id"]

    def ended(self, execution, seconds=300):
        def look():
            found = self.get("/executions/" + execution)
            return found if found["status"] in ENDED else None

        return wait_for("the end of %s" % execution, look, seconds)

    def run(self, action, parameters=None, seconds=300, **more):
        return self.ended(self.start_action(action, parameters, **more), seconds)

    def events(self, trigger):
        """The events of a trigger, oldest first."""
        found = self.get("/triggerinstances", trigger_type=trigger, limit=-1)
        return sorted(found, key=lambda event: event["id"])

    def wait_events(self, trigger, count, seconds=60):
        def look():
            events = self.events(trigger)
            return events if len(events) >= count else None

        return wait_for("event %d of %s" % (count, trigger), look, seconds)

    def sensor(self, reference):
        return self.get("/sensortypes/" + reference)

    def wait_sensor(self, reference, state, seconds=60):
        def look():
            found = self.sensor(reference)
            return found if (found.get("process") or {}).get("state") == state else None

        try:
            return wait_for("%s of %s" % (state, reference), look, seconds)
        except TooLate as late:
            raise TooLate("%s; it is %s" % (late, self.sensor(reference).get("process"))) from None

    def key(self, name):
        try:
            return self.get("/keys/" + urllib.parse.quote(name, safe=""))["value"]
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def set_key(self, name, value, **more):
        path = "/keys/" + urllib.parse.quote(name, safe="")
        return self.put(path, dict(name=name, value=value, **more))
