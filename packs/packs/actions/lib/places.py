"""Where packs lie.

The installed packs are links to versions in directories of their own. A version is never changed
once it is in force: an update makes another and turns the link, so that runs in flight finish on
the version they began with. The version before the one in force is kept for them; older ones go.
"""

import os
import re
import shutil
import tempfile

NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")
# What ships with the server lies in its first pack directory and is replaced with it alone.
SHIPPED = ("chatops", "core", "default", "examples", "linux", "packs")


def check_name(name):
    if not NAME.match(name):
        raise ValueError("%r can't be the name of a pack: letters, digits, _ and - only" % name)


def installed():
    return os.environ["ST2_PACKS_BASE_PATHS"].split(":")[-1]


def virtualenvs():
    return os.environ["ST2_VIRTUALENVS_PATH"]


def data():
    """The data directory of the server."""
    return os.path.dirname(virtualenvs())


def versions():
    path = os.path.join(data(), "pack-versions")
    os.makedirs(path, mode=0o755, exist_ok=True)
    return path


def find(name):
    """The directory of a pack, or None."""
    check_name(name)
    # As the server: what comes later stands over what comes earlier.
    for base in reversed(os.environ["ST2_PACKS_BASE_PATHS"].split(":")):
        path = os.path.join(base, name)
        if os.path.isfile(os.path.join(path, "pack.yaml")):
            return path
    return None


def is_installed(name):
    return find(name) is not None


def check_removable(names):
    for name in names:
        check_name(name)
        if name in SHIPPED:
            raise ValueError("the pack %s is part of the server and can't be removed" % name)


def new_version():
    """An empty directory for a version."""
    return tempfile.mkdtemp(dir=versions())


def current(name):
    """The files of the version in force, or None."""
    link = os.path.join(installed(), name)
    return os.path.realpath(link) if os.path.islink(link) else None


def turn(link, target):
    os.makedirs(os.path.dirname(link), exist_ok=True)
    if target is None:
        if os.path.islink(link):
            os.unlink(link)
        return
    fresh = "%s.%d" % (os.path.join(versions(), os.path.basename(link)), os.getpid())
    os.symlink(target, fresh)
    os.replace(fresh, link)


def point(name, path):
    """Puts the version whose files are at `path` in force; None takes the pack out."""
    check_name(name)
    link = os.path.join(installed(), name)
    if os.path.isdir(link) and not os.path.islink(link):
        raise ValueError("%s was put there by hand; move it away first" % link)
    environment = path and os.path.join(os.path.dirname(path), "virtualenv")
    turn(link, path)
    turn(
        os.path.join(virtualenvs(), name),
        environment if environment and os.path.isdir(environment) else None,
    )
    prune(name, keep=path)


def prune(name, keep):
    """Removes versions older than the one in force and the one before it."""
    if keep is None:
        return
    found = []
    for entry in os.scandir(versions()):
        path = os.path.join(entry.path, name)
        if entry.is_dir(follow_symlinks=False) and os.path.isdir(path) and path != keep:
            found.append((entry.stat().st_mtime, entry.path))
    for _, path in sorted(found)[:-1]:
        shutil.rmtree(path, ignore_errors=True)


def discard(path):
    """Removes a version, given its files, unless it is in force."""
    if current(os.path.basename(path)) == path:
        return
    version = os.path.dirname(path)
    if os.path.dirname(version) == versions():
        shutil.rmtree(version, ignore_errors=True)


def remove(name):
    """Removes a pack's links and the versions behind them."""
    point(name, None)
    for entry in list(os.scandir(versions())):
        if entry.is_dir(follow_symlinks=False) and os.path.isdir(os.path.join(entry.path, name)):
            shutil.rmtree(entry.path, ignore_errors=True)
