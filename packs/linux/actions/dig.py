"""The lines that dig prints."""

import random
import subprocess

from st2common.runners.base_action import Action


class Dig(Action):
    def run(self, hostname, querytype="A", nameserver=None, queryopts="short", rand=False, count=0):
        command = ["dig"]
        if nameserver:
            command.append("@" + nameserver)
        command += ["+" + option.strip() for option in queryopts.split(",") if option.strip()]
        # `-q` and `-t` keep a name that begins with a dash from being read as an option.
        command += ["-q", hostname, "-t", querytype]
        try:
            output = subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout
        except FileNotFoundError:
            return False, "There is no dig on this server; install dnsutils or bind-utils."
        text = output.decode("utf-8", "replace")
        if querytype.lower() == "txt":
            text = text.replace('"', "")
        lines = [line for line in text.split("\n") if line]
        if 0 < count < len(lines):
            lines = lines[:count]
        if rand:
            random.shuffle(lines)
        return lines
