"""beertab: a workflow over the datastore, by people."""


def tab(pack, action, recipient, user="ann", **more):
    done = pack.server.run("beertab." + action, dict(recipient=recipient, **more), user=user)
    pack.check("%s for %s is done" % (action, recipient), done["status"] == "succeeded", done)
    return (done.get("result") or {}).get("output", {}).get("beertab")


def run(pack):
    first = tab(pack, "add", "ann", owner="bob")
    pack.check("the first one begins a tab", first and first.get("ann") == 1, first)
    second = tab(pack, "add", "ann", owner="bob")
    pack.check("tabs add up", second and second.get("ann") == 2, second)
    tab(pack, "add", "ann", owner="carl")
    found = pack.succeeds("find is done", "beertab.find", {"recipient": "ann"})
    debt = str(found.get("output"))
    pack.check("find looks through all tabs", "bob" in debt and "carl" in debt, found)
    for _ in range(2):
        last = tab(pack, "remove", "ann", owner="bob")
    pack.check("a tab can be emptied", not (last or {}).get("ann"), last)
    below = pack.server.run("beertab.remove", {"recipient": "ann", "owner": "bob"})
    told = "owe bob any beer" in str(below["result"])
    pack.check("and then nothing more is taken off", below["status"] == "failed" and told, below)
    chat(pack)
    for owner in ("bob", "carl", "@dora"):
        if pack.server.key("beertab." + owner) is not None:
            pack.server.delete("/keys/beertab." + owner)


def chat(pack):
    # As a bot does that knows the formats: the command alone would fit two of them.
    result = pack.server.post("/aliasexecution", {
        "name": "add", "format": "add a beer for {{ recipient }} to my tab",
        "command": "add a beer for ann to my tab", "user": "dora", "source_channel": "pub",
    })
    done = pack.server.ended(result["execution"]["id"])
    output = (done.get("result") or {}).get("output", {})
    pack.check("by chat, one's own tab is meant", output.get("owner") == "@dora", done)
    pack.check("the command is acknowledged", "Adding a beer" in str(result.get("message")), result)
