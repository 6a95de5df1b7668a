"""Command lines of scripts."""

import shlex

__all__ = ["ShellScriptAction"]


class ShellScriptAction(object):
    """A script with its arguments, as the runners of scripts put them on the command line."""

    def __init__(
        self, name, action_exec_id, script_local_path_abs, named_args=None, positional_args=None,
        env_vars=None, user=None, sudo=False, timeout=None, cwd=None, sudo_password=None,
    ):
        self.name = name
        self.action_exec_id = action_exec_id
        self.script_local_path_abs = script_local_path_abs
        self.named_args = named_args or {}
        self.positional_args = positional_args or []
        self.env_vars = env_vars or {}
        self.user = user
        self.sudo = sudo
        self.timeout = timeout
        self.cwd = cwd
        self.sudo_password = sudo_password

    def get_full_command_string(self):
        """The whole command, quoted for the shell."""
        script = shlex.quote(self.script_local_path_abs)
        arguments = self._get_script_arguments(self.named_args, self.positional_args)
        return "%s %s" % (script, arguments) if arguments else script

    def _get_script_arguments(self, named_args=None, positional_args=None):
        words = []
        for name, value in sorted((named_args or {}).items()):
            if value is True:
                words.append(name)
            elif value not in (None, False, ""):
                words.append("%s=%s" % (name, shlex.quote(str(value))))
        if isinstance(positional_args, (list, tuple)):
            words.extend(shlex.quote(str(value)) for value in positional_args)
        elif positional_args:
            words.append(shlex.quote(str(positional_args)))
        return " ".join(words)
