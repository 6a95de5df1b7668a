"""ansible: Python scripts with arguments, and the programs of the pack's environment."""

import os

PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - command: /bin/%s
"""


def run(pack):
    server, place = pack.server, pack.place()
    done = server.run("ansible.command_local", {"module_name": "ping"}, seconds=300)
    pack.check("ping", done["status"] == "succeeded" and "pong" in done["result"]["stdout"], done)
    for program, wanted in (("true", "succeeded"), ("false", "failed")):
        path = os.path.join(place, program + ".yaml")
        with open(path, "w") as file:
            file.write(PLAYBOOK % program)
        done = server.run("ansible.playbook", {"playbook": path, "inventory_file": "localhost,"})
        pack.check("a playbook with /bin/%s has %s" % (program, wanted), done["status"] == wanted, done)
    vault(pack, server, place)


def vault(pack, server, place):
    """The pack gives the option before the command, which newer versions of Ansible refuse, under
    StackStorm as well: then that has to be what is told."""
    secret, password = os.path.join(place, "secret"), os.path.join(place, "password")
    for path, text in ((secret, "hidden\n"), (password, "hunter2\n")):
        with open(path, "w") as file:
            file.write(text)
    for action, is_clear in (("encrypt", False), ("decrypt", True)):
        parameters = {"files": secret, "vault_password_file": password, "cwd": place}
        done = server.run("ansible.vault." + action, parameters)
        with open(secret) as file:
            text = file.read()
        if done["status"] == "succeeded":
            right = (text == "hidden\n") is is_clear
        else:
            told = done["result"]["stderr"]
            right = "ansible-vault: error: unrecognized arguments: --vault-password-file=" in told
        pack.check("vault.%s" % action, right, done)
