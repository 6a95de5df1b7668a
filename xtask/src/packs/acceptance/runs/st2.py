"""st2: the published client against this server, by the action's token and by an API key."""


def run(pack):
    pack.configure()
    datastore(pack)
    executions(pack)
    rules(pack)
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
