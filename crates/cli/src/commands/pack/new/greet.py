from st2common.runners.base_action import Action


class Greet(Action):
    def run(self, name):
        self.logger.info("greeting %s", name)
        return "%s, %s!" % (self.config.get("greeting", "Hello"), name)
