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
