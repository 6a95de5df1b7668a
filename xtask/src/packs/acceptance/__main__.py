"""Takes packs through their life on a real server: `cargo xtask packs DIR`."""

import argparse
import os
import sys
import tempfile

from life import Life
from report import Report
from server import Server


def packs_in(directory):
    """Name and place of every pack: directories with a pack.yaml, and git repositories."""
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if not entry.is_dir():
            continue
        name = entry.name.split("+")[-1]
        if name.endswith(".git"):
            name = name[: -len(".git")]
        if name.startswith("stackstorm-"):
            name = name[len("stackstorm-"):]
        inner = os.path.join(entry.path, "repo")
        path = inner if os.path.isdir(inner) else entry.path
        is_bare = os.path.isfile(os.path.join(path, "HEAD"))
        if is_bare or os.path.isfile(os.path.join(path, "pack.yaml")):
            yield name, path


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask packs")
    parser.add_argument("directory")
    parser.add_argument("--squall", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    found = [
        (name, path) for name, path in packs_in(options.directory)
        if not options.only or name in options.only
    ]
    if not found:
        print("error: there is no pack in %s" % options.directory, file=sys.stderr)
        return 2
    # Those that others depend on come first.
    found.sort(key=lambda pack: (pack[0] != "st2", pack[0]))
    report = Report()
    place = tempfile.mkdtemp(prefix="squall-packs-")
    server = Server(options.squall, place, options.cache)
    lives = [Life(name, path, server, report) for name, path in found]
    with server:
        for life in lives:
            life.run()
        # Not before all have run: some depend on others.
        for life in reversed(lives):
            life.end()
        if options.keep:
            print("the server's data: %s" % place)
    if not options.keep:
        server.remove()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
