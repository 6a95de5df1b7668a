"""Where packs come from: git, a directory, the index."""

import collections
import json
import os
import re
import shutil
import subprocess
import sys

from lib import places
from squall_packs import program, server

# The version of StackStorm whose packs and clients the server understands.
SPOKEN = (3, 9, 0)

# Beside the files of a version: where it comes from.
NOTE = "source.json"

Found = collections.namedtuple("Found", "ref version path metadata")


def split(wanted):
    """A source and the version wished, if any: `name=1.2.0`, `https://host/x.git=branch`."""
    source, equals, version = wanted.rpartition("=")
    return (source, version) if equals and source else (wanted, None)


def name_of(wanted):
    """The likely name of a pack, from where it comes."""
    source = split(wanted)[0].rstrip("/")
    name = re.split(r"[/:]", source)[-1]
    return re.sub(r"\.git$", "", name).replace("stackstorm-", "", 1)


def local(source):
    """The directory that `source` names on this machine, or None."""
    path = source[len("file://"):] if source.startswith("file://") else source
    return path if os.path.isabs(path) and os.path.isdir(path) else None


def from_index(name):
    """Where the index, which the server reads, says that a pack comes from."""
    found = server.post("/packs/index/search", {"pack": name})
    if not found:
        raise ValueError("the index has no pack %s" % name)
    if not found.get("repo_url"):
        raise ValueError("the index has the pack %s, and no `repo_url` of it" % name)
    return found["repo_url"]


def git(*arguments, cwd=None):
    # A repository that asks for a password must fail, not wait.
    environment = dict(os.environ, GIT_TERMINAL_PROMPT="0")
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    if done.returncode != 0:
        raise ValueError("git %s failed: %s" % (arguments[0], done.stdout.strip()[-2000:]))
    return done.stdout.strip()


def clone(url, version, target):
    git("clone", "--quiet", "--", url, target)
    if not version:
        return
    for reference in (version, "v" + version, "origin/" + version):
        known = subprocess.run(
            ["git", "rev-parse", "--quiet", "--verify", reference + "^{commit}"],
            cwd=target, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        if known.returncode == 0:
            git("checkout", "--quiet", "--detach", known.stdout.strip(), cwd=target)
            return
    raise ValueError("%s has no version %s: no tag, branch or commit is called so" % (url, version))


def repository(source, version):
    """The repository that a source means, or None where a plain directory is copied."""
    directory = local(source)
    if directory:
        return directory if version or is_repository(directory) else None
    if re.search(r"://|^[\w.-]+@[\w.-]+:", source):
        return source
    return from_index(source)


def fetch(wanted):
    source, version = split(wanted)
    if local(wanted):
        source, version = wanted, None
    base = places.new_version()
    try:
        # mkdtemp is for its owner alone; actions may run as another user.
        os.chmod(base, 0o755)
        files = os.path.join(base, ".fetched")
        url = repository(source, version)
        if url:
            clone(url, version, files)
        else:
            shutil.copytree(local(source), files, symlinks=True)
        metadata = read_metadata(files, source)
        reference = str(metadata.get("ref") or metadata.get("name") or name_of(source))
        places.check_name(reference)
        path = os.path.join(base, reference)
        os.rename(files, path)
        with open(os.path.join(base, NOTE), "w") as file:
            json.dump({"source": source, "version": version}, file)
        make_executable(os.path.join(path, "actions"))
    except BaseException:
        shutil.rmtree(base, ignore_errors=True)
        raise
    return Found(reference, str(metadata.get("version") or ""), path, metadata)


def is_repository(directory):
    return os.path.exists(os.path.join(directory, ".git")) or (
        os.path.isfile(os.path.join(directory, "HEAD"))
        and os.path.isdir(os.path.join(directory, "objects"))
    )


def read_metadata(files, source):
    path = os.path.join(files, "pack.yaml")
    if not os.path.isfile(path):
        raise ValueError("%s has no pack.yaml, so it is not a pack" % source)
    metadata = program.read_yaml(path)
    if not isinstance(metadata, dict):
        raise ValueError("the pack.yaml of %s is not a mapping" % source)
    return metadata


def make_executable(actions):
    """Scripts of many packs lack the bit."""
    for directory, _, names in os.walk(actions):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.islink(path):
                continue
            with open(path, "rb") as file:
                is_script = file.read(2) == b"#!"
            if is_script:
                os.chmod(path, os.stat(path).st_mode | 0o111)


def fits(version, condition):
    """Whether a version meets a condition such as `>=3.0.0`; one that can't be read is met."""
    found = re.match(r"^\s*(>=|<=|==|=|!=|>|<)?\s*v?(\d+(?:\.\d+)*)\s*$", condition)
    if not found:
        return True
    operator, text = found.groups()
    wanted = tuple(int(part) for part in text.split("."))
    ours = version[: len(wanted)]
    return {
        ">=": ours >= wanted, "<=": ours <= wanted, ">": ours > wanted, "<": ours < wanted,
        "!=": ours != wanted,
    }.get(operator, ours == wanted)


def misfits(metadata):
    """Why a pack says that it does not run here."""
    problems = []
    wanted = [str(version) for version in metadata.get("python_versions") or []]
    if wanted and not any(version.startswith("3") for version in wanted):
        problems.append("it is for Python %s, and this is %s" % (
            ", ".join(wanted), sys.version.split()[0]))
    asked = str(metadata.get("stackstorm_version") or "")
    if not all(fits(SPOKEN, condition) for condition in asked.split(",")):
        problems.append("it is for StackStorm %s, and this server speaks %s" % (
            asked, ".".join(map(str, SPOKEN))))
    system = metadata.get("system") or {}
    if isinstance(system, dict) and system.get("os") and sys.platform not in str(system["os"]):
        problems.append("it is for %s" % system["os"])
    return problems
