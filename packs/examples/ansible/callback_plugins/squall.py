"""Tells Squall how a playbook went."""

from __future__ import annotations

DOCUMENTATION = r"""
name: squall
type: notification
short_description: Sends a report of each playbook run to Squall
description:
  - When a playbook has ended, this callback sends what happened on each host to Squall's webhook
    C(reports/ansible), signed with the secret of that webhook.
  - A report that cannot be sent is a warning and changes nothing about the run.
requirements:
  - enable in configuration
options:
  url:
    description: Where Squall's API is.
    default: http://127.0.0.1:9101
    env: [{name: SQUALL_URL}]
    ini: [{section: callback_squall, key: url}]
  secret:
    description: The secret of the webhook, as C(squall webhook set-secret reports/ansible) printed it.
    env: [{name: SQUALL_WEBHOOK_SECRET}]
    ini: [{section: callback_squall, key: secret}]
  secret_file:
    description: A file with the secret, which is used where O(secret) is not set.
    env: [{name: SQUALL_WEBHOOK_SECRET_FILE}]
    ini: [{section: callback_squall, key: secret_file}]
  timeout:
    description: Seconds that sending may take.
    type: int
    default: 10
    env: [{name: SQUALL_TIMEOUT}]
    ini: [{section: callback_squall, key: timeout}]
"""

import hashlib
import hmac
import json
import urllib.request
import uuid

from ansible.plugins.callback import CallbackBase

# So many characters of a message are sent.
MESSAGE_MAX = 2000
# So many tasks with something to tell are listed; all of them are counted.
RESULTS_MAX = 5000


class CallbackModule(CallbackBase):
    """Gathers what failed and what changed, and sends it at the end, in the shape that Ansible's
    own `json` callback prints."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "squall"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.plays = []
        self.results = 0
        # A report that is sent again, because the answer got lost, is the same report.
        self.key = str(uuid.uuid4())

    def v2_playbook_on_play_start(self, play):
        self.plays.append({"play": {"name": play.get_name()}, "tasks": []})

    def v2_playbook_on_task_start(self, task, is_conditional):
        if self.plays:
            self.plays[-1]["tasks"].append({"task": {"name": task.get_name()}, "hosts": {}})

    def v2_playbook_on_handler_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def _keep(self, result, **what):
        tasks = self.plays[-1]["tasks"] if self.plays else []
        if not tasks or self.results >= RESULTS_MAX:
            return
        self.results += 1
        told = result._result
        kept = {"changed": bool(told.get("changed")), **what}
        # With `no_log` Ansible itself has put a placeholder where the result was.
        message = told.get("msg") or told.get("stderr") or told.get("exception")
        if what and message and not told.get("_ansible_no_log"):
            kept["msg"] = str(message)[:MESSAGE_MAX]
        tasks[-1]["hosts"][result._host.get_name()] = kept

    def v2_runner_on_ok(self, result):
        if result._result.get("changed"):
            self._keep(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._keep(result, failed=True, ignore_errors=bool(ignore_errors))

    def v2_runner_on_unreachable(self, result):
        self._keep(result, unreachable=True)

    def v2_playbook_on_stats(self, stats):
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        try:
            self._send({"plays": self.plays, "stats": hosts})
        except Exception as error:  # whatever happens, the playbook went as it went
            self._display.warning(f"Squall was not told about this run: {error}")

    def _secret(self):
        secret, path = self.get_option("secret"), self.get_option("secret_file")
        if not secret and path:
            with open(path, encoding="utf-8") as file:
                secret = file.read().rstrip("\r\n")
        if not secret:
            raise ValueError(
                "there is no secret; set SQUALL_WEBHOOK_SECRET to what "
                "`squall webhook set-secret reports/ansible` printed"
            )
        return secret.encode()

    def _send(self, report):
        body = json.dumps(report).encode()
        signature = hmac.new(self._secret(), body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            self.get_option("url").rstrip("/") + "/api/v1/webhooks/reports/ansible",
            data=body,
            method="POST",
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": self.key,
                "X-Squall-Signature": signature,
            },
        )
        with urllib.request.urlopen(request, timeout=self.get_option("timeout")):
            self._display.vv("Squall was told about this run")
