"""Sends an event to the server's webhook for events of any trigger."""

import json
import os
import urllib.error
import urllib.request

from st2common.runners.base_action import Action

TIMEOUT_SECONDS = 60


class InjectTrigger(Action):
    def run(self, trigger=None, trigger_name=None, payload=None, trace_tag=None):
        if trigger and trigger_name:
            raise ValueError("`trigger` and `trigger_name` are two names of one parameter; give one.")
        trigger = trigger or trigger_name
        if not trigger:
            raise ValueError("`trigger_name` is missing; name a trigger as `pack.name`.")
        url = os.environ.get("ST2_ACTION_API_URL")
        if not url:
            raise ValueError("The server has no API address to send the event to.")
        headers = {"Content-Type": "application/json"}
        token = os.environ.get("ST2_ACTION_AUTH_TOKEN")
        if token:
            headers["X-Auth-Token"] = token
        if trace_tag:
            headers["St2-Trace-Tag"] = trace_tag
        event = {"trigger": trigger, "payload": payload or {}}
        request = urllib.request.Request(
            url.rstrip("/") + "/webhooks/st2",
            data=json.dumps(event).encode(),
            headers=headers,
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            reason = error.read(2000).decode("utf-8", "replace")
            raise RuntimeError("The event was refused (%d): %s" % (error.code, reason)) from None
