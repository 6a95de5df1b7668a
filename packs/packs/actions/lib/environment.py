"""Python environments of packs.

A pack without requirements needs none: it runs on the server's Python. One with requirements sees
the host's libraries behind its own, so that what packs import undeclared is there.
"""

import os
import shutil
import subprocess
import sys


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        tail = done.stdout.strip()[-4000:]
        raise RuntimeError("%s failed with %d:\n%s" % (" ".join(command), done.returncode, tail))


def build(pack, wheels=None):
    """Builds the environment of the pack whose files are at `pack`; whether it needs one."""
    requirements = os.path.join(pack, "requirements.txt")
    if not os.path.isfile(requirements):
        return False
    target = os.path.join(os.path.dirname(pack), "virtualenv")
    uv = shutil.which("uv")
    host = os.path.realpath(sys.executable)
    offline = ["--no-index", "--find-links", wheels] if wheels else []
    if uv:
        run([uv, "venv", "--quiet", "--system-site-packages", "--python", host, target])
        pip = [uv, "pip", "install", "--quiet", "--python", os.path.join(target, "bin/python")]
    else:
        run([host, "-m", "venv", "--system-site-packages", target])
        pip = [os.path.join(target, "bin/python"), "-m", "pip", "install", "--quiet"]
    run([*pip, *offline, "-r", requirements])
    return True
