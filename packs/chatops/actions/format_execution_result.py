from squall_packs import server
from st2common.runners.base_action import Action



class FormatExecutionResult(Action):
    def run(self, execution_id):
        return server.call("GET", "/aliasexecution/%s/result" % execution_id)
