"""git: commits of a repository become events, also across a restart of the server."""

import getpass
import os
import subprocess

from server import wait_for
from services import sshd


def git(place, *arguments):
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    done = subprocess.run(["git", "-C", place, *identity, *arguments], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip()


def run(pack):
    server, place = pack.server, pack.place()
    remote, work = os.path.join(place, "remote.git"), os.path.join(place, "work")
    subprocess.run(["git", "init", "-q", "--bare", "-b", "master", remote], check=True)
    subprocess.run(["git", "clone", "-q", remote, work], check=True, stderr=subprocess.DEVNULL)

    def commit(text):
        git(work, "commit", "-q", "--allow-empty", "-m", text)
        git(work, "push", "-q", "origin", "HEAD:master")
        return git(work, "rev-parse", "HEAD")

    git(work, "checkout", "-q", "-b", "master")
    first = commit("first")
    server.post("/rules", {
        "name": "on_commit", "pack": "git", "enabled": True,
        "trigger": {"type": "git.head_sha_monitor", "parameters": {}}, "criteria": {},
        "action": {"ref": "core.local", "parameters": {"cmd": "echo {{ trigger.revision }}"}},
    })
    pack.configure(poll_interval=1, repositories=[{
        "url": "file://" + remote, "branch": "master",
        "local_clone_path": os.path.join(place, "clone"),
    }])
    pack.start_sensor("GitCommitSensor")
    event = server.wait_events("git.head_sha_monitor", 1)[0]["payload"]
    pack.check("the newest commit comes first", event["revision"] == first, event)
    pack.check("it says whose, and of what", (event["author"], event["branch"], event["repository_url"])
               == ("Ann", "master", "file://" + remote), event)
    second = commit("second")
    events = server.wait_events("git.head_sha_monitor", 2)
    pack.check("a push is one event", [e["payload"]["revision"] for e in events] == [first, second],
               events)
    server.restart()
    server.wait_sensor("git.GitCommitSensor", "running", 90)
    # The sensor begins anew and tells the newest commit once more, as in the reference.
    server.wait_events("git.head_sha_monitor", 3)
    third = commit("third")
    events = server.wait_events("git.head_sha_monitor", 4)
    pack.check("so is one after a restart", events[-1]["payload"]["revision"] == third, events[-1])
    enforcements = server.get("/ruleenforcements", rule_ref="git.on_commit", limit=-1)
    pack.check("one enforcement for each event", len(enforcements) == len(events), len(enforcements))
    merged(pack)
    cloned(pack, remote, third)
    server.delete("/rules/git.on_commit")


def merged(pack):
    server = pack.server
    rule = "git.st2.webhook.github.pulls.merge.sample"

    def enforcements():
        return server.get("/ruleenforcements", rule_ref=rule, limit=-1)

    # Both are matched in the order in which they came.
    for is_merged in (True, "True"):
        body = {"action": "closed", "pull_request": {"merged": is_merged}}
        server.post("/webhooks/github/pulls/merge", body)
    wait_for("the enforcement", enforcements)
    pack.check("true of JSON is not the text True", len(enforcements()) == 1, enforcements())


def cloned(pack, remote, newest):
    """git.clone runs on a remote host, which this one plays."""
    with sshd(pack.place(), pack.server.key_file) as host:
        hosts = {"hosts": "127.0.0.1:%d" % host.port, "username": getpass.getuser()}
        target = os.path.join(pack.place(), "clone")
        parameters = dict(hosts, source="file://" + remote, destination=target)
        pack.succeeds("git.clone on a remote host", "git.clone", parameters)
        pack.check("the clone is there", git(target, "rev-parse", "HEAD") == newest)
        again = pack.server.run("git.clone", parameters)
        told = "already exists" in str(again["result"])
        pack.check("a clone into a place that is taken fails", again["status"] == "failed" and told, again)
