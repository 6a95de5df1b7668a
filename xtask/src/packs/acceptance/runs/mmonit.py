"""mmonit: events of a monitor, remembered in the datastore."""

import services
from server import wait_for


def event(number):
    return {"id": number, "hostname": "web", "event": "down", "servicename": "http", "eventtype": 1}


def run(pack):
    server = pack.server
    records = [event(1), event(2)]
    polls = []

    def listed():
        polls.append(1)
        return {"records": list(records)}

    routes = {
        ("GET", "/"): {}, ("GET", ""): {}, ("POST", "/z_security_check"): {},
        ("GET", "/session/get"): {}, ("GET", "/login/logout.csp"): {},
        ("GET", "/reports/events/list"): listed,
    }
    with services.http_stub(routes) as stub:
        pack.configure(username="x", password="y", host=stub.url, shared_sensors_config={
            "host": stub.url, "username": "x", "password": "y", "event_types": ["1"], "active": 1,
        })
        pack.start_sensor("MmonitEventsSensor")
        server.wait_events("mmonit.new_event", 2)
        count = len(polls)
        wait_for("two more polls", lambda: len(polls) >= count + 2)
        pack.check("each event comes once", len(server.events("mmonit.new_event")) == 2)
        name = "mmonit.MmonitEventsSensor:%d"
        pack.check("the datastore knows them", server.key(name % 1) == "1", server.key(name % 1))
        del records[0]
        wait_for("the datastore to forget", lambda: server.key(name % 1) is None)
        pack.check("one that is gone is forgotten", server.key(name % 2) == "2")
