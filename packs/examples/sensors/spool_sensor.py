#!/usr/bin/env python3
import json
import os
import select
import sys

SPOOL = "/var/spool/squall-examples"


def say(**message):
    print(json.dumps(message), flush=True)


def read():
    line = sys.stdin.readline()
    message = json.loads(line) if line else {"type": "stop"}
    if message["type"] == "stop":
        sys.exit(0)
    return message


def ask(**message):
    say(id=message["trigger"], **message)
    while True:
        answer = read()
        if answer["type"] == "answer":
            return answer


start = read()
os.makedirs(SPOOL, exist_ok=True)
say(type="ready")
while True:
    for name in sorted(os.listdir(SPOOL)):
        path = os.path.join(SPOOL, name)
        with open(path) as file:
            payload = {"name": name, "text": file.read()}
        # The file goes only when the event is durable. If the sensor is killed between the two, the
        # event is sent again, and known by its key.
        key = "%s %d" % (name, os.stat(path).st_mtime_ns)
        answer = ask(
            type="dispatch", trigger="examples.spooled", payload=payload, dedupe_key=key
        )
        if "error" in answer:
            say(type="log", level="ERROR", message=answer["error"]["message"])
            continue
        os.remove(path)
    if select.select([sys.stdin], [], [], start["poll_interval"])[0]:
        read()
