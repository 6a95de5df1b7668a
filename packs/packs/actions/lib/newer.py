"""Whether there is something newer than an installed pack, where it came from."""

import json
import os

from lib import places, source


class Unknown(Exception):
    """Why that can't be told."""


def look(name):
    """What to install for the newest of a pack, or None when that is in force; and why not."""
    path = places.current(name)
    if path is None:
        raise Unknown("it was not installed by packs.install")
    origin, version = noted(path)
    url = source.repository(origin, version)
    if url is None:
        return origin, None
    newest = remote(url, "refs/heads/" + version if version else "HEAD")
    if newest is None:
        return None, "it stays at %s, which is no branch" % version
    if newest == source.git("rev-parse", "HEAD", cwd=path):
        return None, "it is the newest"
    return (origin + "=" + version if version else origin), None


def noted(path):
    """Where the pack with these files came from, and the version that was asked for."""
    try:
        with open(os.path.join(os.path.dirname(path), source.NOTE)) as file:
            note = json.load(file)
        return note["source"], note["version"]
    except FileNotFoundError:
        raise Unknown("nothing is noted of where it came from: install it once more") from None


def remote(url, reference):
    """The commit of a reference in a repository, or None."""
    for line in source.git("ls-remote", "--", url, reference).splitlines():
        commit, _, found = line.partition("\t")
        if found == reference:
            return commit
    return None
