"""github: a stub stands for GitHub Enterprise."""

import services
from server import wait_for


def person(url):
    return {"login": "ann", "id": 1, "type": "User", "name": "Ann", "email": "ann@example.org",
            "location": None, "bio": None, "html_url": url + "/ann", "url": url + "/users/ann"}


def event(url, number, kind="PushEvent"):
    return {"id": str(number), "type": kind, "created_at": "2023-01-02T03:04:05Z",
            "payload": {"n": number}, "actor": person(url),
            "repo": {"id": 2, "name": "ann/shop", "url": url + "/repos/ann/shop"}}


def run(pack):
    server = pack.server
    events = []
    routes = {}
    with services.http_stub(routes) as stub:
        repository = {"id": 2, "name": "shop", "full_name": "ann/shop", "owner": person(stub.url),
                      "url": stub.url + "/repos/ann/shop"}
        routes.update({
            ("GET", "/users/ann"): lambda: person(stub.url),
            ("GET", "/repos/ann/shop"): lambda: repository,
            ("GET", "/repos/ann/shop/events"): lambda: list(events),
        })
        server.set_key("github_oauth_token", "hunter2hunter2", secret=True)
        pack.configure(
            github_type="enterprise", base_url=stub.url, deployment_environment="production",
            repository_sensor={"event_type_whitelist": ["PushEvent"], "count": 30,
                               "repositories": [{"user": "ann", "name": "shop"}]},
        )
        sensor = server.get("/sensortypes/github.GithubRepositorySensor")
        events.extend([event(stub.url, 101), event(stub.url, 102, "WatchEvent")])
        pack.start_sensor("GithubRepositorySensor")
        found = server.wait_events("github.repository_event", 1)
        pack.check("an event is one", found[0]["payload"]["id"] == "101", found)
        key = "github.GithubRepositorySensor:last_id.shop"
        wait_for("the position in the datastore", lambda: server.key(key) == "102")
        events.insert(0, event(stub.url, 103))
        pack.start_sensor("GithubRepositorySensor")
        found = server.wait_events("github.repository_event", 2)
        ids = [one["payload"]["id"] for one in found]
        pack.check("after a restart only what is new", ids == ["101", "103"], ids)
        pack.check("the sensor is enabled", sensor["enabled"] is True)
        tokens(pack)
        shown = str([server.get("/configs/github"), server.get("/executions", limit=5)])
        pack.check("the token shows nowhere", "hunter2hunter2" not in shown)
        server.delete("/keys/github_oauth_token")


def tokens(pack):
    user = pack.succeeds("get_user", "github.get_user", {"user": "ann", "token_user": None})
    pack.check("a user", "ann" in str(user["result"]), user)
    pack.succeeds("store_oauth_token", "github.store_oauth_token",
                  {"user": "ann", "token": "t0ken-of-ann", "github_type": "enterprise"})
    name = "github.StoreOauthTokenAction:token_enterprise_ann"
    pack.check("kept for the class", pack.server.key(name) == "t0ken-of-ann", name)
