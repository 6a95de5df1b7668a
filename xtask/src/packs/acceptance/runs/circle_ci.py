"""circle_ci: a web server in a sensor."""

import json
import urllib.error
import urllib.request

import services
from server import wait_for


def post(url, body):
    request = urllib.request.Request(url, data=json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    try:
        return urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


def run(pack):
    server, port = pack.server, services.free_port()
    url = "http://127.0.0.1:%d/webhooks/" % port
    pack.configure(token="x", host="127.0.0.1", port=port, endpoints=["build/events"])
    pack.start_sensor("CircleCIWebhookSensor")
    wait_for("the sensor's port", lambda: services.listens(port))
    status = post(url + "build/events", {"build": 7})
    payload = server.wait_events("circle_ci.build_event", 1)[0]["payload"]
    pack.check("a build is an event", status == 200 and payload["body"] == {"build": 7}, payload)
    pack.check("with the headers", "Content-Type" in payload["headers"], payload)
    pack.check("another address is unknown", post(url + "other", {"x": 1}) == 404)
    pack.check("and no event", len(server.events("circle_ci.build_event")) == 1)
    sensor = server.get("/sensortypes/circle_ci.CircleCIWebhookSensor")
    server.put("/sensortypes/circle_ci.CircleCIWebhookSensor", dict(sensor, enabled=False))
    wait_for("the end of the sensor", lambda: not services.listens(port))
    pack.check("a sensor that is disabled frees its port", True)
