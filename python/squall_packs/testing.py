"""Runs the tests of a pack. Started by `squall pack test`, whose options these are."""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

from squall_packs import environment

NONE_FOUND = 5


def say(text):
    print(text, file=sys.stderr, flush=True)


def read_options():
    parser = argparse.ArgumentParser(prog="squall pack test")
    parser.add_argument("pack")
    parser.add_argument("--cache", required=True)
    parser.add_argument("--wheels")
    parser.add_argument("--virtualenv")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    return parser.parse_args()


def requirements(pack):
    files = [os.path.join(pack, name) for name in ("requirements.txt", "requirements-tests.txt")]
    return [file for file in files if os.path.isfile(file)]


def prepared(options):
    """The interpreter to run the tests with, and the directory of the libraries behind it."""
    if options.virtualenv:
        python = os.path.join(options.virtualenv, "bin", "python")
        if not os.path.isfile(python):
            raise environment.Failed("%s is no Python environment" % options.virtualenv)
        return python, environment.find_shared(options.cache)
    shared = environment.share(options.cache, options.wheels, say)
    files = requirements(options.pack)
    digest = hashlib.sha256(shared.encode())
    for file in files:
        with open(file, "rb") as text:
            digest.update(text.read())
    name = os.path.basename(options.pack)
    target = os.path.join(options.cache, "tests", "%s-%s" % (name, digest.hexdigest()[:12]))
    mark = os.path.join(target, environment.COMPLETE)
    if options.fresh or not os.path.exists(mark):
        shutil.rmtree(target, ignore_errors=True)
        say("building the environment of the tests of %s" % name)
        environment.build(target, files, shared, options.wheels)
        open(mark, "w").close()
    return os.path.join(target, "bin", "python"), shared


def import_paths(pack, shared):
    """What tests may import, in StackStorm's order; ours and the shared libraries come last."""
    inner = ("lib", "sensors", "actions", "actions/lib", "etc")
    paths = [os.path.join(pack, name) for name in inner]
    paths = [path for path in paths if os.path.isdir(path)]
    paths.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if shared:
        paths.append(environment.site_packages(shared))
    return paths


def run(options):
    """The exit code: 0 if all tests passed, 1 if not, 5 if there are none."""
    tests = os.path.join(options.pack, "tests")
    if not os.path.isdir(tests):
        say("%s has no tests" % options.pack)
        return NONE_FOUND
    python, shared = prepared(options)
    variables = dict(os.environ)
    variables["PYTHONPATH"] = ":".join(import_paths(options.pack, shared))
    variables["PATH"] = "%s:%s" % (os.path.dirname(python), variables.get("PATH", ""))
    plan = {"pack": options.pack, "only": options.only, "verbose": options.verbose}
    command = [python, "-m", "squall_packs.unittests", json.dumps(plan)]
    return subprocess.run(command, cwd=options.pack, env=variables).returncode


def main():
    options = read_options()
    options.pack = os.path.abspath(options.pack)
    if not re.search(r"\S", os.path.basename(options.pack)):
        raise environment.Failed("%s is no pack" % options.pack)
    return run(options)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except environment.Failed as failure:
        say("error: %s" % failure)
        sys.exit(2)
