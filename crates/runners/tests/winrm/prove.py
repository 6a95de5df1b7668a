"""The published client of WinRM against the tests' host: `prove.py PORT USER PASSWORD`."""

import sys

import winrm

PORT, USER, PASSWORD = sys.argv[1:4]


def session(transport, password=PASSWORD):
    return winrm.Session(
        "https://127.0.0.1:%s/wsman" % PORT,
        auth=(USER, password),
        transport=transport,
        server_cert_validation="ignore",
        operation_timeout_sec=1,
        read_timeout_sec=10,
    )


for transport in ("basic", "ntlm"):
    good = session(transport)
    protocol = good.protocol
    shell = protocol.open_shell(env_vars={"GREETING": "h\u00ea"}, codepage=65001)
    # Longer than the operation's time: the host says that there is nothing yet.
    command = protocol.run_command(shell, "sleep 1.5; echo $GREETING; echo no >&2; exit 3")
    out = protocol.get_command_output(shell, command)
    assert out == ("h\u00ea\n".encode(), b"no\n", 3), out
    protocol.cleanup_command(shell, command)
    protocol.close_shell(shell)
    ran = good.run_ps("Get-Item x")
    assert (ran.status_code, ran.std_out) == (0, b"Get-Item x"), ran
    ran = good.run_ps("Write-Error 'broken'; exit 4")
    assert (ran.status_code, ran.std_err) == (4, b"broken"), ran
    try:
        session(transport, "wrong").run_cmd("true")
    except winrm.exceptions.InvalidCredentialsError:
        pass
    else:
        raise AssertionError("a wrong password is taken")
print("proved")
