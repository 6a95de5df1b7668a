"""mqtt: a message becomes an event, also after the broker went and came back."""

import services

PASSWORD = "hunter2hunter2"


def run(pack):
    server = pack.server
    with services.mosquitto(pack.place(), "ann", PASSWORD) as broker:
        pack.configure(hostname="127.0.0.1", port=broker.port, subscribe=["st2/test/#"],
                       username="ann", password=PASSWORD, protocol="MQTTv311")
        pack.start_sensor("MQTTSensor")
        message = {"topic": "st2/test/x", "message": "hello", "retain": True}
        pack.succeeds("a message is published", "mqtt.publish", message)
        payload = server.wait_events("mqtt.message", 1)[0]["payload"]
        pack.check("it is an event", payload["message"] == "b'hello'", payload)
        pid = server.sensor("mqtt.MQTTSensor")["process"]
        broker.stop()
        broker.start()
        before = len(server.events("mqtt.message"))
        # Retained, so it comes whenever the sensor has subscribed again.
        pack.succeeds("one is published after the broker came back", "mqtt.publish",
                      {"topic": "st2/test/y", "message": "again", "retain": True})
        events = server.wait_events("mqtt.message", before + 1, 120)
        pack.check("and arrives", any(e["payload"]["message"] == "b'again'" for e in events), events)
        now = server.sensor("mqtt.MQTTSensor")["process"]
        pack.check("the sensor had not to be started again", now["restarts"] == pid["restarts"], now)
