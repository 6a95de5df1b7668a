"""examples: every workflow, chain, action, rule, sensor and alias of StackStorm's own examples.

What has to come of each is what its file says it is for. Those that go to the internet, to Windows
or to another pack's actions are asked for as well where they have to fail in a certain way.
"""

import getpass
import os
import socket
import urllib.error
import urllib.request

from server import wait_for
from services import http_stub, listens, sshd

GREETING = "Lakshmi, All your base are belong to us!"
BORG = [name + ", resistance is futile!" for name in ("Lakshmi", "Lindsay", "Tomaz")]
LOUD = "$%#&@#$!!!"
VERSIONS = {
    "compare_equal": 0, "compare_more_than": -1, "compare_less_than": 1, "equal": True,
    "more_than": False, "less_than": False, "match": True, "bump_major": "1.0.0",
    "bump_minor": "0.11.0", "bump_patch": "0.10.1", "strip_patch": "0.10",
}
REGEX = {"match": True, "replace": "wxyz", "search": True, "substring": "668 Infinite Dr"}
PATHS = {"basename": "file.txt", "dirname": "/path/to/some"}
# Workflow, parameters, status, some of its output.
WORKFLOWS = [
    ("basic", {"cmd": "echo hi"}, "succeeded", {"stdout": "hi"}),
    ("sequential", {}, "succeeded", {"greeting": GREETING}),
    ("delay", {"delay": 1}, "succeeded", {"greeting": GREETING}),
    ("data-flow", {"a1": "fee fi"}, "succeeded", {"a5": "fee fi", "b5": "fee fi"}),
    ("subworkflow", {}, "succeeded", {}),
    ("examples", {}, "succeeded", {}),
    ("join", {}, "succeeded", {"messages": [
        "Fee fi fo fum", "I smell the blood of an English man", "Be alive, or be he dead",
        "I'll grind his bones to make my bread",
    ]}),
    ("with-items", {}, "succeeded", {"items": BORG}),
    ("with-items-concurrency", {"concurrency": 1}, "succeeded", {"items": BORG}),
    ("test-with-items-failure", {}, "failed", {}),
    ("test-subworkflow-empty-with-items", {}, "succeeded", {}),
    ("task-retry", {}, "succeeded", {}),
    ("task-retry-exhausted", {}, "failed", {}),
    ("rollback-retry", {}, "succeeded", {}),
    ("error-handling-continue", {"cmd": "exit 0"}, "succeeded", {"message": "hooray!!!"}),
    ("error-handling-continue", {"cmd": "exit 1"}, "failed", {"message": LOUD}),
    ("error-handling-noop", {"cmd": "exit 1"}, "succeeded", {"message": LOUD}),
    ("error-handling-fail-manually", {"cmd": "exit 1"}, "failed", {"message": LOUD}),
    ("fail-manually", {}, "failed", {}),
    ("remediate-then-fail", {}, "failed", {}),
    ("output-on-error", {}, "failed", {"progress": 25}),
    ("fail-inspection", {}, "failed", None),
    ("fail-inspection-task-contents", {}, "failed", None),
    ("fail-input-rendering", {}, "failed", None),
    ("fail-vars-rendering", {}, "failed", None),
    ("fail-output-rendering", {}, "failed", None),
    ("fail-start-task", {}, "failed", None),
    ("fail-task-transition", {}, "failed", {"greeting": None}),
    ("fail-task-publish", {}, "failed", {"greeting": None}),
    ("test-action-less-tasks", {"name": "Lakshmi"}, "succeeded", {"greeting": GREETING.upper()}),
    ("test-jinja-path-functions", {}, "succeeded", PATHS),
    ("test-yaql-path-functions", {}, "succeeded", PATHS),
    ("test-jinja-regex-functions", {}, "succeeded", REGEX),
    ("test-yaql-regex-functions", {}, "succeeded", REGEX),
    ("test-jinja-time-functions", {}, "succeeded", {"time": "3h25m45s"}),
    ("test-yaql-time-functions", {}, "succeeded", {"time": "3h25m45s"}),
    ("test-jinja-version-functions", {}, "succeeded", VERSIONS),
    ("test-yaql-version-functions", {}, "succeeded", VERSIONS),
    ("test-jinja-task-nonexistent", {}, "failed", None),
    ("test-yaql-task-nonexistent", {}, "failed", None),
    ("test-field-escaping", {}, "succeeded", {
        "wf.output.with.periods": "vars.nested.value.with.periods",
    }),
    # It calls an action by a name that the pack does not have.
    ("data-flow-large-data", {"file_path": "/etc/hostname"}, "failed", None),
]
# Chain, parameters, status, the output or error of its last task.
CHAINS = [
    ("echochain", {}, "succeeded", "c3"),
    ("echochain-param", {"input1": "hi"}, "succeeded", "c3 c2 c1, input hi"),
    # They name a task that is not there.
    ("echochain_task_failure", {}, "failed", "`c4`, which is not there"),
    ("echochain_top_level_failure", {}, "failed", "`c4`, which is not there"),
    ("chain-sequential", {}, "succeeded", GREETING),
    ("time_jinja_filter", {}, "succeeded", "3h25m45s"),
    ("version_jinja_filter", {}, "succeeded", "True"),
    # The shell takes `<redacted>` for a file.
    ("regex_jinja_filter", {}, "failed", "redacted: No such file"),
]
# Action, parameters, status, some text of its result.
ACTIONS = [
    # It imports from the pack's `lib`, which needs --common-libs.
    ("isprime", {"value": 7}, "succeeded", "'result': True"),
    ("isprime", {"value": 8}, "succeeded", "'result': False"),
    ("object_return", {}, "succeeded", "'f': 1"),
    ("json_string_to_object", {"json_str": '{"a": [1]}'}, "succeeded", "{'a': [1]}"),
    ("yaml_string_to_object", {"yaml_str": "a: [1]"}, "succeeded", "{'a': [1]}"),
    ("local-notify", {"cmd": "echo hi"}, "succeeded", "'stdout': 'hi'"),
    ("env_reader", {}, "succeeded", "'stdout'"),
    # Command runners have no entry point.
    ("ping", {"cmd": "x"}, "failed", "entry_point is only valid for"),
    ("local-random-exit", {"cmd": "x"}, "failed", "entry_point is only valid for"),
    ("remote-random-exit", {"cmd": "x", "hosts": "h"}, "failed", "Perhaps wanted to use"),
    # It writes bytes as JSON.
    ("ubuntu_pkg_info", {"pkgname": "bash"}, "failed", "not JSON serializable"),
    ("python_runner_print_python_version", {}, "succeeded", "Using Python version: 3"),
    ("python_runner_print_python_environment", {}, "succeeded", "sys.path: ["),
    ("python-mock-core-remote", {"hosts": "a,b", "cmd": "x"}, "succeeded", "'stdout': 'x'"),
    ("print_config", {}, "succeeded", "'region': 'us-east-1'"),
    ("forloop_parse_github_repos", {"content": "<h3><a href='/o/r'>r</a></h3>"}, "succeeded",
     "'r': 'https://github.com/o/r'"),
    ("forloop_push_github_repos", {"data_to_push": {"r": "x"}}, "succeeded", "Data pushed"),
    ("forloop_increase_index_and_check_condition",
     {"index": "1", "pagesize": "1", "input": {"a": 1}}, "succeeded", "'result': 2"),
    ("local_command_runner_print_to_stdout_and_stderr", {"count": 4, "sleep_delay": 0},
     "succeeded", "stdout line 4"),
    ("local_script_runner_print_to_stdout_and_stderr", {"count": 4, "sleep_delay": 0},
     "succeeded", "stdout line 4"),
    ("python_runner_print_to_stdout_and_stderr", {"count": 4, "sleep_delay": 0},
     "succeeded", "stdout -> Line: 4"),
]


def run(pack):
    pack.configure(api_key="k", api_secret="s")
    for name, parameters, status, output in WORKFLOWS:
        workflow(pack, name, parameters, status, output)
    for table in (CHAINS, ACTIONS):
        for name, parameters, status, text in table:
            done = pack.server.run("examples." + name, parameters)
            tasks = (done["result"] or {}).get("tasks") if isinstance(done["result"], dict) else None
            said = tasks[-1]["result"] if tasks else done["result"]
            pack.check("%s %s" % (name, status), done["status"] == status and text in str(said), done)
    tables(pack)
    functions(pack)
    datastore(pack)
    virtual_machine(pack)
    inquiries(pack)
    for name, tasks in (("orquesta-test-cancel", 1), ("chain-test-cancel", 1),
                        ("orquesta-test-cancel-subworkflow", 2),
                        ("chain-test-cancel-with-subworkflow", 2)):
        canceled(pack, name, tasks)
    for name in ("orquesta-test-pause", "orquesta-test-pause-subworkflow",
                 "chain-test-pause-resume", "chain-test-pause-resume-with-subchain"):
        paused(pack, name)
    rerun(pack)
    loops(pack)
    missing(pack)
    remote(pack)
    rules(pack)
    sensors(pack)


def workflow(pack, name, parameters, status, output):
    done = pack.server.run("examples.orquesta-" + name, parameters)
    given = (done["result"] or {}).get("output") or {}
    is_meant = output is None or output.items() <= Same(given).items()
    is_told = status == "succeeded" or output or (done["result"] or {}).get("errors")
    is_told = is_told or any(child["status"] == "failed" for child in children(pack, done["id"]))
    pack.check("orquesta-%s %s %s" % (name, parameters or "", status),
               done["status"] == status and is_meant and is_told, done)


class Same(dict):
    """Items of which lists can be compared as well."""

    def items(self):
        return Items(self)


class Items:
    def __init__(self, of):
        self.of = of

    def __ge__(self, others):
        return all(key in self.of and self.of[key] == value for key, value in others)


def children(pack, id_):
    return pack.server.get("/executions/%s/children" % id_, depth=-1)


def tables(pack):
    """Chains that hand data on."""
    done = pack.server.run("examples.data_jinja_filter")
    results = [task["result"]["result"] for task in done["result"]["tasks"]]
    pack.check("data_jinja_filter hands data on", results[0] == results[1] == results[2], results)
    host = socket.gethostname()
    pack.server.set_key("domain", "example.org")
    done = pack.server.run("examples.publish_data")
    said = done["result"]["tasks"][1]["result"]["stdout"]
    pack.check("publish_data publishes", "fqdn=%s.example.org," % host in said, said)
    pack.check("publish_data fails where nothing serves", done["status"] == "failed", done)
    pack.server.delete("/keys/domain")
    for scope, name in (("st2kv.system", "my_cmd"), ("st2kv.user", "my_cmd")):
        user = {"user": pack.server.get("/user")["username"]} if scope == "st2kv.user" else {}
        pack.server.set_key(name, "t0p-secret", secret=True, scope=scope, **user)
    done = pack.server.run("examples.decrypt_kv_jinja_filter")
    pack.check("decrypt_kv_jinja_filter decrypts", done["status"] == "succeeded", done)
    pack.server.delete("/keys/my_cmd")
    pack.server.delete("/keys/my_cmd?scope=st2kv.user")


def functions(pack):
    for language in ("jinja", "yaql"):
        done = pack.server.run("examples.orquesta-test-%s-task-functions" % language)
        output = done["result"]["output"]
        told = (output["last_task4_result"], output["task9__1__parent"], output["task9__2__parent"])
        pack.check("orquesta-test-%s-task-functions" % language,
                   told == ("False", "task8__1", "task8__2") or told == ("false", "task8__1", "task8__2"),
                   done)
        pack.check("%s: a task is the same by name" % language,
                   output["this_task_no_arg"] == output["that_task_by_name"] == "task1", output)
        done = pack.server.run("examples.orquesta-test-%s-data-functions" % language)
        output = done["result"]["output"]
        data = {"foo": {"bar": "foobar"}}
        same = [output["data_json_obj_%d" % number] for number in (1, 2, 3, 4)]
        pack.check("orquesta-test-%s-data-functions" % language,
                   same == [data] * 4 and output["data_query_1"] == ["foobar"], output)
    done = pack.server.run("examples.orquesta-st2-ctx")
    told = done["result"]["output"]["callback"]
    pack.check("orquesta-st2-ctx knows its execution", told.endswith("/executions/" + done["id"]), done)


def datastore(pack):
    server = pack.server
    server.set_key("examples_plain", "one")
    server.set_key("examples_secret", "t0p-secret", secret=True)
    for key, decrypt, wanted in (("plain", False, "one"), ("secret", True, "t0p-secret")):
        parameters = {"key_name": "system.examples_" + key, "decrypt": decrypt}
        done = server.run("examples.orquesta-st2kv", parameters)
        pack.check("orquesta-st2kv reads %s" % key, done["result"]["output"] == {"value": wanted}, done)
    missing = {"key_name": "system.examples_none", "decrypt": False}
    done = server.run("examples.orquesta-st2kv", missing)
    pack.check("orquesta-st2kv fails without the key", done["status"] == "failed", done)
    done = server.run("examples.orquesta-st2kv-default", dict(missing, default="two"))
    pack.check("orquesta-st2kv-default has a default", done["result"]["output"] == {
        "value_from_yaql": "two", "value_from_jinja": "two",
    }, done)
    for key in ("plain", "secret"):
        server.delete("/keys/examples_" + key)


def virtual_machine(pack):
    done = pack.server.run("examples.orquesta-mock-create-vm", {
        "vm_name": "demo", "ip": "10.0.0.7", "meta": {"demo.itests.org": 7},
    })
    output = (done["result"] or {}).get("output") or {}
    made = output.get("extra", {}).get("10.0.0.7", {})
    pack.check("orquesta-mock-create-vm", (output.get("ip"), made.get("vm_name")) == ("10.0.0.7", "demo"),
               done)


def inquiry_below(pack, id_, known=()):
    def look():
        found = [child["id"] for child in children(pack, id_)
                 if child["status"] == "pending" and child["id"] not in known]
        return found and found[0]

    return wait_for("an inquiry below %s" % id_, look)


def respond(pack, inquiry, response):
    pack.server.put("/inquiries/" + inquiry, {"id": inquiry, "response": response})
    return inquiry


def inquiries(pack):
    yes = {"approved": True}
    for name, answers in (
        ("orquesta-ask-basic", [yes]), ("orquesta-ask-consecutive", [yes, yes]),
        ("orquesta-ask-nested", [yes]), ("orquesta-ask-parallel", [yes, yes]),
        ("orquesta_ask_multiple_parameters", [dict(yes, department_id=7, extra_output="hi")]),
    ):
        id_, known = pack.server.start_action("examples." + name), []
        for answer in answers:
            known.append(respond(pack, inquiry_below(pack, id_, known), answer))
        done = pack.server.ended(id_)
        pack.check("%s is answered" % name, done["status"] == "succeeded", done)
    # What a chain has waited for is found as the `result` in its result.
    id_ = pack.server.start_action("examples.chain-test-inquiry-parent")
    respond(pack, inquiry_below(pack, id_), {"secondfactor": "4711"})
    done = pack.server.ended(id_)
    pack.check("chain-test-inquiry-parent goes on with the answer",
               done["status"] == "succeeded" and "service with 4711" in str(done["result"]), done)


def blocked(pack, name, **more):
    """An execution whose first command waits until a file is gone, and the file."""
    path = os.path.join(pack.place(), "file")
    open(path, "w").close()
    parameters = dict({"tempfile": path}, **more)
    id_ = pack.server.start_action("examples." + name, parameters)
    wait_for("the command of %s" % name, lambda: [
        child for child in children(pack, id_)
        if child["status"] == "running" and child["action"]["ref"] == "core.local"
    ])
    return id_, path


def canceled(pack, name, count):
    id_, path = blocked(pack, name, message="hi")
    pack.server.delete("/executions/" + id_)
    done = pack.server.ended(id_)
    below = [child["status"] for child in children(pack, id_)]
    pack.check("%s is canceled with all below" % name,
               done["status"] == "canceled" and below == ["canceled"] * count, (done["status"], below))
    os.unlink(path)


def paused(pack, name):
    more = {} if name.startswith("orquesta") else {"message": "hi"}
    id_, path = blocked(pack, name, **more)
    server = pack.server
    server.put("/executions/" + id_, {"status": "pausing"})
    os.unlink(path)
    wait_for("the pause of %s" % name, lambda: server.get("/executions/" + id_)["status"] == "paused")
    server.put("/executions/" + id_, {"status": "resuming"})
    done = server.ended(id_)
    pack.check("%s pauses and goes on" % name, done["status"] == "succeeded", done)


def rerun(pack):
    path = os.path.join(pack.place(), "file")

    def write(text):
        with open(path, "w") as file:
            file.write(text)

    for name in ("orquesta-test-rerun", "orquesta-test-rerun-with-items"):
        write("1")
        done = pack.server.run("examples." + name, {"tempfile": path})
        pack.check("%s fails first" % name, done["status"] == "failed", done)
        write("0")
        task = "task2" if name == "orquesta-test-rerun" else "task1"
        again = pack.server.post("/executions/%s/re_run" % done["id"], {"tasks": [task]})
        done = pack.server.ended(again["id"])
        pack.check("%s succeeds when it is run again" % name, done["status"] == "succeeded", done)


def loops(pack):
    """The chain that goes through pages: against a stub with a full page and one that is not."""
    repos = "".join("<h3><a href='/o/r%d'>r</a></h3>" % number for number in range(30))
    pages = iter((repos, "<h3><a href='/o/last'>r</a></h3>"))
    with http_stub({("GET", "/org"): lambda: next(pages)}) as stub:
        done = pack.server.run("examples.forloop_chain", {"github_organization_url": stub.url + "/org"})
        names = [task["name"] for task in done["result"]["tasks"]]
        pack.check("forloop_chain goes round until there is no more",
                   done["status"] == "succeeded" and names.count("get_github_page") == 2, done)


def missing(pack):
    """What names an action that is not there says so."""
    for name, action in (("json_escape_jinja_filter", "slack.chat.postMessage"),
                         ("render_config_context", "fixtures.render_config_context")):
        done = pack.server.run("examples." + name)
        pack.check("%s says which action is missing" % name,
                   done["status"] == "failed" and action in str(done["result"]), done)
    if not listens(22):
        for name in ("action_chain_streaming_demo", "orquesta-streaming-demo"):
            done = pack.server.run("examples." + name, {"count": 2, "sleep_delay": 0})
            statuses = [child["status"] for child in children(pack, done["id"])]
            pack.check("%s fails at the host that is not there" % name,
                       done["status"] == "failed" and statuses == ["succeeded"] * 7 + ["failed"],
                       (done["status"], statuses))


def remote(pack):
    with sshd(pack.place(), pack.server.key_file) as host:
        hosts = {"hosts": "127.0.0.1:%d" % host.port, "username": getpass.getuser()}
        for name, parameters, text in (
            ("remote_command_runner_print_to_stdout_and_stderr", {"count": 4, "sleep_delay": 0}, "line 4"),
            ("remote_script_runner_print_to_stdout_and_stderr", {"count": 4, "sleep_delay": 0}, "line 4"),
        ):
            result = pack.succeeds(name, "examples." + name, dict(parameters, **hosts))
            pack.check("%s tells what it has said" % name, text in str(result), result)
        command = "run 'echo hi' on " + hosts["hosts"]
        made = pack.server.post("/aliasexecution/match_and_execute", {
            "command": command, "user": "ann", "source_channel": "ops",
        })["results"][0]
        pack.server.ended(made["execution"]["id"])
        said = pack.server.get("/aliasexecution/%s/result" % made["execution"]["id"])["message"]
        pack.check("the alias tells of its host", "on *1* hosts" in said and "stdout: hi" in said, said)


def rules(pack):
    server = pack.server

    def enforcements(rule):
        return server.get("/ruleenforcements", rule_ref="examples." + rule, limit=-1)

    home = os.path.expanduser("~/st2.webhook_sample.out")
    was_there = os.path.exists(home)
    for name in ("st1", "st2"):
        server.post("/webhooks/sample", {"name": name})
    found = wait_for("the webhook's rule", lambda: enforcements("sample_rule_with_webhook"))
    done = server.ended(found[0]["execution_id"])
    pack.check("sample_rule_with_webhook takes the right one", len(found) == 1, found)
    pack.check("its action runs", done["status"] == "succeeded", done)
    if not was_there:
        os.unlink(home)
    watched = "/tmp/st2_test"
    with open(watched, "a") as file:
        file.write("")
    wait_for("the watch", lambda: appended(pack, watched, enforcements))
    os.unlink(watched)
    found = wait_for("the notification", lambda: enforcements("notify_slack"))
    pack.check("notify_slack says that there is no pack slack",
               "slack.post_message" in str(found[0].get("failure_reason")), found[0])


def appended(pack, watched, enforcements):
    """Lines count from when the server has seen the file."""
    with open(watched, "a") as file:
        file.write("a line\n")
    found = enforcements("sample_rule_file_watch")
    if found:
        pack.check("sample_rule_file_watch has its line", True)
    return found


def sensors(pack):
    server = pack.server
    pack.start_sensor("SamplePollingSensor")
    pack.start_sensor("FibonacciSensor")
    event = server.wait_events("examples.fibonacci", 1)[0]["payload"]
    pack.check("FibonacciSensor counts", isinstance(event["fibonacci"], int), event)
    process = server.sensor("examples.SampleSensor").get("process")
    pack.check("SampleSensor, which returns at once, is told", process, process)
    pack.start_sensor("EchoFlaskSensor")

    def is_told():
        request = urllib.request.Request("http://127.0.0.1:5000/echo", data=b'{"a": [1]}')
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except urllib.error.HTTPError:
            # Today's flask refuses how the sensor writes its answer.
            return True
        except OSError:
            return False
        return True

    wait_for("the echo", is_told)
    event = server.wait_events("examples.echoflasksensor", 1)[0]["payload"]
    pack.check("EchoFlaskSensor echoes", event == {"a": [1]}, event)
