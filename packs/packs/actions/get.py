"""Shows an installed pack."""

import os
import subprocess

from lib import places
from squall_packs import program
from st2common.runners.base_action import Action


class Get(Action):
    def run(self, pack, branch="master"):
        path = places.find(pack)
        if path is None:
            return {"pack": None, "git_status": None}
        metadata = program.read_yaml(os.path.join(path, "pack.yaml"))
        return {"pack": metadata, "git_status": git_status(path, branch)}


def git(path, *arguments):
    """What git says, or None."""
    done = subprocess.run(
        ["git", "-C", path, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def git_status(path, branch):
    if not os.path.isdir(os.path.join(path, ".git")):
        return None
    status = git(path, "status")
    if status is None:
        return None
    remotes = git(path, "remote", "-v") or ""
    urls = sorted({line.split()[1] for line in remotes.splitlines() if line})
    text = "Status:\n%s\n\nRemotes:\n%s" % (status.splitlines()[0], "\n".join(urls))
    counts = git(path, "rev-list", "--left-right", "--count", "HEAD...origin/%s" % branch)
    if counts and counts.split() != ["0", "0"]:
        text += "\n\n%s commits ahead and %s behind origin/%s." % (*counts.split(), branch)
    return text
