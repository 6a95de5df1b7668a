"""Running commands, and quoting for the shell."""

import shlex
import subprocess

__all__ = ["quote_unix", "run_command"]


def quote_unix(value):
    """`value` as one word of a command line."""
    return shlex.quote(str(value).strip())


def run_command(
    cmd, stdin=None, stdout=subprocess.PIPE, stderr=subprocess.PIPE, shell=False, cwd=None, env=None
):
    """Runs `cmd` to its end; gives (exit code, standard output, standard error)."""
    if not isinstance(cmd, (list, tuple, str)):
        raise TypeError("a command must be a list, a tuple or a text, not %s" % type(cmd).__name__)
    process = subprocess.Popen(
        cmd, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd, shell=shell
    )
    out, err = process.communicate()
    return process.returncode, out, err
