"""The API, by the rights of whoever runs the action."""

import json
import os
import urllib.error
import urllib.request


def call(method, path, body=None):
    request = urllib.request.Request(
        os.environ["ST2_ACTION_API_URL"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "X-Auth-Token": os.environ.get("ST2_ACTION_AUTH_TOKEN", ""),
        },
    )
    # The server is on this machine: a proxy for the internet must not come between.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode("utf-8", "replace")
        try:
            text = json.loads(text)["faultstring"]
        except (ValueError, KeyError, TypeError):
            pass
        raise RuntimeError(text) from None
