from greet import Greet
from st2tests.base import BaseActionTestCase


class GreetTestCase(BaseActionTestCase):
    action_cls = Greet

    def test_the_greeting_is_configured(self):
        action = self.get_action_instance(config={"greeting": "Good morning"})
        self.assertEqual(action.run(name="Ann"), "Good morning, Ann!")

    def test_there_is_a_greeting_without_configuration(self):
        self.assertEqual(self.get_action_instance().run(name="Ann"), "Hello, Ann!")
