"""What the program `squall` reads for our Python files, so that there is one reader of it."""

import json
import os
import subprocess

__all__ = ["Refused", "read_command", "read_yaml"]


class Refused(ValueError):
    """The text is not what it should be; the message says where and why."""


def ask(*words):
    program = os.environ.get("SQUALL_PROGRAM", "squall")
    done = subprocess.run(
        [program, "pack", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    told = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode == 1:
        raise Refused(told)
    if done.returncode != 0:
        raise RuntimeError("%s failed with %d: %s" % (program, done.returncode, told))
    return json.loads(done.stdout.decode())


def read_yaml(path):
    """The contents of a YAML file."""
    return ask("read-yaml", "--", path)


def read_command(format_string, command):
    """The parameters of a chat command by the format of an alias."""
    return ask("read-command", "--format", format_string, "--", command)
