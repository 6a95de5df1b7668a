"""Python environments of packs.

A pack with a `requirements.txt` has an environment of its own, which holds what it asks for. Behind
it stands the shared environment, one for each interpreter: the libraries that StackStorm has in its
own environment, and that many packs import without asking for them, `st2client` among them. A pack
without requirements runs on the server's Python, with the shared environment behind it.

Whatever builds an environment may use the network, unless it is given a directory of wheels.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

# What packs import undeclared, most used first.
LIBRARIES = (
    "st2client", "six", "requests", "eventlet", "urllib3", "PyYAML", "python-dateutil", "pytz",
    "simplejson", "paramiko", "Jinja2", "cryptography", "pyOpenSSL", "certifi", "idna", "chardet",
    "statsd", "xmltodict", "mock", "semver", "jsonpath-rw", "packaging", "setuptools<81",
)
# In a pack's environment, the file that puts the shared one behind it.
LINK = "squall-shared.pth"
COMPLETE = ".complete"
OUTPUT_MAX = 4000


class Failed(RuntimeError):
    """An environment could not be built; the message is for the person who wanted it."""


def run(command):
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    )
    if done.returncode != 0:
        tail = done.stdout.strip()[-OUTPUT_MAX:]
        raise Failed("%s failed with %d:\n%s" % (" ".join(command), done.returncode, tail))


def interpreter():
    """The real file of the running interpreter: a link of it may lead elsewhere tomorrow."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def site_packages(environment):
    version = "python%d.%d" % sys.version_info[:2]
    return os.path.join(environment, "lib", version, "site-packages")


def make(target, seeded=False):
    """An empty environment; `seeded` ones have pip."""
    uv = shutil.which("uv")
    if uv:
        seed = ["--seed"] if seeded else []
        run([uv, "venv", "--quiet", *seed, "--python", interpreter(), target])
        return
    without_pip = [] if seeded else ["--without-pip"]
    try:
        run([interpreter(), "-m", "venv", *without_pip, target])
    except Failed as failure:
        raise Failed("%s\nOn Debian, install python3-venv." % failure) from None


def installer(target, shared):
    """The beginning of a command that installs into `target`, with uv or somebody's pip."""
    python = os.path.join(target, "bin", "python")
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", python]
    if not os.path.isdir(os.path.join(site_packages(target), "pip")) and shared:
        helper = os.path.join(shared, "bin", "python")
        return [helper, "-m", "pip", "--python", python, "install", "--quiet"]
    return [python, "-m", "pip", "install", "--quiet"]


def source(wheels):
    """The options that say where packages come from."""
    if not wheels:
        return []
    if not os.path.isdir(wheels):
        raise Failed("the directory of wheels, %s, is not there" % wheels)
    return ["--no-index", "--find-links", wheels]


def shared_path(base):
    """Where the shared environment of this interpreter is, or will be."""
    what = "\n".join((interpreter(), sys.version, *LIBRARIES))
    name = hashlib.sha256(what.encode()).hexdigest()[:12]
    return os.path.join(base, "st2-python%d.%d-%s" % (*sys.version_info[:2], name))


@contextlib.contextmanager
def locked(path):
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find_shared(base):
    """The shared environment if it has been built, else None."""
    path = shared_path(base)
    return path if os.path.exists(os.path.join(path, COMPLETE)) else None


def share(base, wheels=None, say=lambda text: None):
    """The shared environment below `base`, built if it is not there.

    Links it as `base/st2`, the place that it has in an installation of StackStorm. Out of a
    directory of wheels come those libraries that it holds.
    """
    os.makedirs(base, exist_ok=True)
    path = shared_path(base)
    with locked(os.path.join(base, ".st2.lock")):
        if not find_shared(base):
            shutil.rmtree(path, ignore_errors=True)
            say("building the environment that all packs share, with %s" % ", ".join(LIBRARIES))
            make(path, seeded=True)
            install_libraries(path, wheels, say)
            with open(os.path.join(path, COMPLETE), "w") as mark:
                mark.write("\n".join(LIBRARIES) + "\n")
        point(os.path.join(base, "st2"), path)
    return path


def install_libraries(path, wheels, say):
    command = [*installer(path, None), *source(wheels)]
    try:
        run([*command, *LIBRARIES])
        return
    except Failed:
        if not wheels:
            raise
    for library in LIBRARIES:
        try:
            run([*command, library])
        except Failed:
            say("the wheels in %s do not give %s: packs that import it fail" % (wheels, library))


def point(link, target):
    if os.path.realpath(link) == os.path.realpath(target):
        return
    fresh = tempfile.mktemp(prefix=".st2-", dir=os.path.dirname(link))
    os.symlink(os.path.basename(target), fresh)
    os.replace(fresh, link)


def stand_behind(target, shared):
    """Puts the shared environment behind that of a pack, also for pip."""
    if shared:
        with open(os.path.join(site_packages(target), LINK), "w") as link:
            link.write(site_packages(shared) + "\n")


def asks_for_any(requirements):
    """Whether there is such a file, and more than comments in it."""
    try:
        with open(requirements, encoding="utf-8", errors="replace") as lines:
            return any(line.split("#")[0].strip() for line in lines)
    except FileNotFoundError:
        return False


def build(target, requirements, shared=None, wheels=None):
    """An environment at `target` with what the files `requirements` ask for."""
    make(target, seeded=not shared)
    fill(target, requirements, shared, wheels)


def fill(target, requirements, shared=None, wheels=None):
    """Installs into an environment what the files `requirements` ask for and it lacks."""
    stand_behind(target, shared)
    for file in requirements:
        run([*installer(target, shared), *source(wheels), "-r", file])
