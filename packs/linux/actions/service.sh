#!/bin/sh
# Arguments: what to do, and with which service.
act=$1
service=$2

if [ -d /run/systemd/system ]; then
    exec systemctl "$act" -- "$service"
fi
if command -v service >/dev/null; then
    exec service "$service" "$act"
fi
echo "This host has neither systemd nor the program service, so $service cannot be told to $act." >&2
exit 2
