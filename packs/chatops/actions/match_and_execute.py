import time

from squall_packs import server
from st2common.runners.base_action import Action


# An execution in another state has ended, or waits for a person.
GOES_ON = ("requested", "scheduled", "running", "canceling", "delayed")


class MatchAndExecute(Action):
    def run(self, text, source_channel=None, user=None):
        found = server.call("POST", "/actionalias/match", {"command": text})
        command = {
            "name": found["actionalias"]["name"],
            "format": found["representation"],
            "command": text,
            "source_channel": source_channel,
            "user": user,
        }
        execution = server.call("POST", "/aliasexecution", command)["execution"]
        wait = 0.05
        while execution["status"] in GOES_ON:
            time.sleep(wait)
            wait = min(wait * 2, 2)
            execution = server.call("GET", "/executions/" + execution["id"])
        return execution["id"]
