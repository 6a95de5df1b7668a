"""st2: the published client against this server, by the action's token and by an API key."""

import os

from server import wait_for


def run(pack):
    pack.configure()
    datastore(pack)
    executions(pack)
    rules(pack)
    aliases(pack)
    key = pack.server.post("/apikeys", {"user": "admin", "metadata": {}})["key"]
    pack.configure(api_key=key)
    pack.gives("st2.kv.get_object", {"key": "acceptance.obj"}, {"a": [1, None]}, "it works by an API key")
    pack.succeeds("kv.delete", "st2.kv.delete", {"key": "acceptance.obj"})
    pack.configure()


def datastore(pack):
    pack.succeeds("kv.set", "st2.kv.set", {"key": "acceptance.x", "value": "one"})
    pack.check("the value is there", pack.server.key("acceptance.x") == "one")
    pack.gives("st2.kv.get", {"key": "acceptance.x"}, "one")
    value = {"a": [1, None]}
    pack.succeeds("kv.set_object", "st2.kv.set_object", {"key": "acceptance.obj", "value": value})
    pack.gives("st2.kv.get_object", {"key": "acceptance.obj"}, value)
    pack.gives("st2.kv.grep", {"query": "ceptance.x"}, {"acceptance.x": "one"})
    pack.succeeds("kv.delete", "st2.kv.delete", {"key": "acceptance.x"})
    pack.check("the value is gone", pack.server.key("acceptance.x") is None)
    done = pack.server.run("st2.kv.get", {"key": "acceptance.x"})
    pack.check("a missing key is a failure", done["status"] == "failed", done["status"])


def executions(pack):
    server = pack.server
    made = pack.succeeds("executions.create", "st2.executions.create", {
        "action": "core.local", "parameters": {"cmd": "echo hi"},
    })
    id_ = made["result"]["id"]
    done = server.ended(id_)
    pack.check("its execution runs", done["result"]["stdout"] == "hi", done)
    shown = pack.succeeds("executions.get", "st2.executions.get", {"id": id_})
    pack.check("it shows what the API shows", shown["result"]["id"] == id_, shown)
    listed = pack.succeeds("executions.list", "st2.executions.list", {"limit": 5})
    pack.check("it lists", len(listed["result"]) == 5, listed)
    again = pack.succeeds("executions.re_run", "st2.executions.re_run", {"id": id_})
    pack.check("it runs again", again["result"]["id"] != id_, again)
    slow = server.start_action("core.local", {"cmd": "sleep 60"})
    pack.succeeds("executions.cancel", "st2.executions.cancel", {"ids": [slow]})
    pack.check("it is canceled", server.ended(slow)["status"] == "canceled")


def rules(pack):
    server = pack.server
    server.post("/rules", {
        "name": "st2_rule", "pack": "default", "enabled": True, "criteria": {},
        "trigger": {"type": "core.st2.webhook", "parameters": {"url": "st2_rule"}},
        "action": {"ref": "core.noop", "parameters": {}},
    })
    for action, enabled in (("disable", False), ("enable", True)):
        pack.succeeds("rules." + action, "st2.rules." + action,
                      {"name": "st2_rule", "pack": "default"})
        rule = server.get("/rules/default.st2_rule")
        pack.check("the rule is %sd" % action, rule["enabled"] is enabled, rule)
    server.delete("/rules/default.st2_rule")


def aliases(pack):
    """Every alias that needs nobody else: found, run, and told as its format says."""
    server = pack.server
    server.post("/rules", {
        "name": "st2_chat", "pack": "default", "enabled": True, "criteria": {},
        "trigger": {"type": "core.st2.webhook", "parameters": {"url": "st2_chat"}},
        "action": {"ref": "core.noop", "parameters": {}}, "description": "by chat",
    })
    ended = server.ended(server.start_action("core.local", {"cmd": "echo hi"}))["id"]
    told(pack, "st2 list 3 actions from core", "Found 3 actions:{~}")
    told(pack, "st2 list 2 executions", "Found 2 executions:{~}")
    told(pack, "st2 list 1 executions with status succeeded", ": succeeded, started at ")
    told(pack, "st2 list 5 rules from default", "default.st2_chat")
    told(pack, "st2 disable rule st2_chat from pack default",
         "Disabled: default.st2_chat (core.st2.webhook", "#219939")
    told(pack, "st2 enable rule st2_chat from pack default",
         "Enabled: default.st2_chat (core.st2.webhook", "#219939")
    told(pack, "st2 list 5 sensors", "Found ")
    told(pack, "st2 get execution " + ended, ended)
    told(pack, "st2 re-run execution " + ended, "core.local")
    slow = server.start_action("core.local", {"cmd": "sleep 60"})
    told(pack, "st2 cancel execution " + slow, slow + " - ", "#219939")
    pack.check("chat has canceled it", server.ended(slow)["status"] == "canceled")
    workflows(pack)
    server.delete("/rules/default.st2_chat")


ASKING = """
version: 1.0
tasks:
  wait:
    action: core.local
    input: {cmd: "while [ -e '%s' ]; do sleep 0.1; done"}
    next: [{when: <% succeeded() %>, do: ask}]
  ask:
    action: core.ask
    input:
      schema:
        type: object
        properties: {approved: {type: boolean, required: true}}
"""


def workflows(pack):
    """A workflow that is paused, resumed and answered by chat."""
    server = pack.server
    path = os.path.join(pack.place(), "file")
    open(path, "w").close()
    # Not as an action of the pack, of which nothing must be left.
    action = server.post("/actions", {
        "name": "st2_asking", "pack": "default", "runner_type": "orquesta", "enabled": True,
        "entry_point": "workflows/st2_asking.yaml", "parameters": {},
        "data_files": [{"file_path": "actions/workflows/st2_asking.yaml", "content": ASKING.replace("%s", path)}],
    })
    id_ = server.start_action("default.st2_asking")

    def has(status):
        return server.get("/executions/" + id_)["status"] == status

    def pending():
        below = server.get("/executions/%s/children" % id_)
        return [child["id"] for child in below if child["status"] == "pending"]

    wait_for("the workflow's start", lambda: has("running"))
    told(pack, "st2 pause execution " + id_, "pausing", "#219939")
    os.unlink(path)
    wait_for("the pause", lambda: has("paused"))
    told(pack, "st2 resume execution " + id_, "", "#219939")
    inquiry = wait_for("the inquiry", pending)[0]
    command = "st2 respond to inquiry %s with " % inquiry
    told(pack, command + '{"approved": "soon"}', "did not fit", status="failed")
    told(pack, command + '{"approved": true}', "was accepted!")
    pack.check("the workflow goes on with the answer", server.ended(id_)["status"] == "succeeded")
    server.delete("/actions/" + action["ref"])


def told(pack, command, text, color=None, status="succeeded"):
    server = pack.server
    made = server.post("/aliasexecution/match_and_execute", {
        "command": command, "user": "ann", "source_channel": "ops",
    })["results"][0]
    id_ = made["execution"]["id"]
    done = server.ended(id_)
    pack.check("`%s` has %s" % (command, status), done["status"] == status, done)
    said = server.get("/aliasexecution/%s/result" % id_)
    pack.check("`%s` is told" % command, text in said["message"], said)
    if color:
        pack.check("`%s` has its color" % command, said["extra"]["slack"]["color"] == color, said)
