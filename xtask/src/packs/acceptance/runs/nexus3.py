"""nexus3: profiles in the configuration, and a policy on an action of another pack."""

import services


def run(pack):
    server = pack.server
    repositories = [{"name": "maven", "format": "maven2", "type": "hosted", "url": "x"}]
    routes = {
        ("GET", "/service/rest/v1/repositories"): repositories,
        ("GET", "/service/rest/beta/repositories"): repositories,
        ("GET", "/service/rest/v1/script"): [],
        ("GET", "/service/metrics/ping"): "pong",
        ("GET", "/service/rest/v1/status"): {},
    }
    with services.http_stub(routes) as stub:
        account = {"url": stub.url, "user": "ann", "password": "hunter2hunter2", "verify": True}
        pack.configure(profiles={"dev": account}, **account)
        listed = pack.server.run("nexus3.list_repositories", {"config_profile": "dev"})
        pack.check("repositories by a profile", (listed["result"] or {}).get("result") == repositories,
                   (listed, stub.requests))
        done = server.run("nexus3.list_repositories", {"config_profile": "prod"})
        told = "connection profile not found" in str(done["result"])
        pack.check("a profile that is not there fails and says so", done["status"] == "failed" and told,
                   done)
        pack.check("the password shows nowhere", "hunter2hunter2" not in str([listed, done]))
        policy(pack)


def policy(pack):
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(8)
        url = "http://127.0.0.1:%d/" % deaf.getsockname()[1]
        done = pack.server.run("core.http", {"url": url, "timeout": 1})
        pack.check("core.http runs into its time limit", done["status"] == "timeout", done)
        retries = pack.server.get("/executions", action="core.http", limit=10)
        text = str([entry.get("log") for entry in retries])
        pack.check("and was tried three times", len(retries) == 3 or "retry" in str(retries).lower(), text)
