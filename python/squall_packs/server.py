"""The API, by the rights of whoever runs the action."""

import json
import os
import urllib.error
import urllib.request


class Refused(RuntimeError):
    """What the server says instead of doing it, with the status in `code`."""


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
        with opener.open(request, timeout=300) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        refused = Refused(reason(error.read().decode("utf-8", "replace")))
        refused.code = error.code
        raise refused from None
    return json.loads(text) if text else None


def reason(text):
    """The words in an answer that refuses, in which StackStorm wraps them."""
    try:
        return json.loads(text)["faultstring"]
    except (ValueError, KeyError, TypeError):
        return text


def post(path, body):
    return call("POST", path, body)


def exists(path):
    try:
        call("GET", path)
    except Refused as refused:
        if refused.code == 404:
            return False
        raise
    return True


def delete(path):
    if exists(path):
        call("DELETE", path)
