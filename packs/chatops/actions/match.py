from squall_packs import server
from st2common.runners.base_action import Action



class Match(Action):
    def run(self, text):
        found = server.call("POST", "/actionalias/match", {"command": text})
        alias = {name: found["actionalias"][name] for name in ("name", "pack", "action_ref")}
        return {"alias": alias, "representation": found["representation"]}
