"""Shows where packs lie."""

from st2common.content import utils
from st2common.runners.base_action import Action


class GetConfig(Action):
    def run(self):
        return {
            "pack_group": utils.get_pack_group(),
            "pack_path": utils.get_system_packs_base_path(),
        }
