"""backups: workflows in a workflow, with programs that stand for the databases'."""

import os

DUMP = """#!/bin/sh
for word in "$@"; do
  case "$word" in --archive=*) echo dump > "${word#--archive=}";; esac
  if [ "$last" = -f ]; then echo dump > "$word"; fi
  last="$word"
done
exit %d
"""


def run(pack):
    server, place = pack.server, pack.place()
    pack.configure(server="here")
    config = os.path.join(place, "mistral.conf")
    with open(config, "w") as file:
        file.write("[database]\nconnection = postgresql://u:p@127.0.0.1/mistral\n")
    # sudo looks in places of its own: where these are.
    made = ["/usr/local/bin/mongodump", "/usr/local/bin/pg_dump"]
    for path in made:
        if os.path.exists(path):
            raise RuntimeError("%s is there already, and the run would replace it" % path)
    try:
        workflows(pack, server, place, config, made)
    finally:
        for path in made:
            if os.path.exists(path):
                os.unlink(path)
    timers = [timer for timer in server.get("/timers") if timer.get("type") == "core.st2.CronTimer"]
    pack.check("its timer waits", any(timer["parameters"].get("hour") == 1 for timer in timers), timers)


def workflows(pack, server, place, config, made):
    def program(path, code):
        with open(path, "w") as file:
            file.write(DUMP % code)
        os.chmod(path, 0o755)

    asked = {"path": os.path.join(place, "archive"), "mistral_config": config}
    for path in made:
        program(path, 0)
    done = server.run("backups.full_backup", asked)
    output = (done.get("result") or {}).get("output", {})
    paths = [output.get("mongodb_dump_archive"), output.get("postgres_dump_archive")]
    pack.check("both succeed", done["status"] == "succeeded" and all(map(os.path.exists, paths)), done)
    server.set_key("mongodb.admin_password", "hunter2hunter2", secret=True)
    server.set_key("mongodb.admin_username", "ann")
    done = server.run("backups.full_backup", asked)
    pack.check("with a password of the datastore too", done["status"] == "succeeded", done)
    pack.check("which shows nowhere", "hunter2hunter2" not in str(done))
    program(made[0], 3)
    done = server.run("backups.full_backup", asked)
    pack.check("one that fails fails the whole", done["status"] == "failed", done["status"])
    tasks = server.get("/executions", action="core.local_sudo", limit=8)
    cleaned = any("-name 'mongodb_dump" in task["parameters"]["cmd"] for task in tasks[:3])
    pack.check("after the cleaning up", cleaned, [task["parameters"] for task in tasks])
    for name in ("mongodb.admin_password", "mongodb.admin_username"):
        server.delete("/keys/" + name)
