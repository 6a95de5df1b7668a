"""networking_utils: addresses, and a command from a template."""


def run(pack):
    pack.configure()
    valid = pack.succeeds("is_valid_ip", "networking_utils.is_valid_ip", {"ip_address": "10.0.0.1"})
    pack.check("an address is one", valid["result"] is True or "True" in str(valid["result"]), valid)
    found = pack.server.run("networking_utils.is_valid_ip", {"ip_address": "10.0.0.x"})
    pack.check("what is none is not", found["status"] == "failed" or not found["result"]["result"], found)
    cidr = pack.succeeds("ip_calc", "networking_utils.ip_calc", {"subnet": "10.0.0.0/30"})
    pack.check("a network is calculated", "10.0.0.3" in str(cidr["result"]), cidr)
    ping = pack.server.run("networking_utils.ping", {"host": "127.0.0.1"})
    command = str(ping.get("result"))
    pack.check("the template becomes a command", ping["status"] == "succeeded" or "ping" in command,
               ping)
    python_2(pack)


def python_2(pack):
    """The format of `geoip` calls `iteritems`, which dictionaries no longer have."""
    server = pack.server
    alias = server.get("/actionalias/networking_utils.geoip")
    made = server.post("/actionalias", {
        "name": "networking_utils_old", "pack": "default", "action_ref": "core.noop",
        "formats": ["old way"], "result": {
            "format": "{% for key, value in execution.parameters.iteritems() %}{{ key }}{% endfor %}",
        },
    })
    pack.check("its alias is of that kind", ".iteritems()" in alias["result"]["format"], alias)
    done = server.post("/aliasexecution/match_and_execute", {
        "command": "old way", "user": "ann", "source_channel": "ops",
    })["results"][0]["execution"]
    server.ended(done["id"])
    said = server.run("chatops.format_execution_result", {"execution_id": done["id"]})
    told = "has no attribute 'iteritems'" in said["result"]["stderr"]
    pack.check("its result is an error, as in the reference", said["status"] == "failed" and told, said)
    server.delete("/actionalias/" + made["ref"])
