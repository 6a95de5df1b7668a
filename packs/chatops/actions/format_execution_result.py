from st2common.runners.base_action import Action

from lib import server


class FormatExecutionResult(Action):
    def run(self, execution_id):
        return server.call("GET", "/aliasexecution/%s/result" % execution_id)
