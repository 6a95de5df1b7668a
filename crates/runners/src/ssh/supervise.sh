# Runs one command on a remote machine. When the connection behind standard input is closed, ends
# the command with all that it started. POSIX sh. What is put before this text defines:
#   execution  the id that marks the processes
#   command    what the shell is to run
#   directory  where
#   shell      the shell for it; if empty, that of the login
#   grace      seconds between SIGTERM and SIGKILL
#   remove     a directory to be removed at the end, or nothing
#   variables  a function that exports the environment of the command
exec 3<&0 </dev/null

if [ -z "$shell" ]; then
  case "${SHELL##*/}" in
    bash | dash | ash | sh | ksh | mksh | zsh) shell=$SHELL ;;
  esac
fi
command -v "${shell:=bash}" >/dev/null 2>&1 || shell=sh

# Prints "pid start parent session" of every living process.
processes() {
  if [ -r /proc/self/stat ]; then
    for file in /proc/[0-9]*/stat; do
      { read -r line <"$file"; } 2>/dev/null || continue
      file=${file%/stat}
      set -- ${line##*) }
      [ "$1" = Z ] || echo "${file#/proc/} ${20} $2 $4"
    done
  else
    ps -A -o pid= -o ppid= -o pgid= | while read -r pid parent group; do
      echo "$pid 0 $parent $group"
    done
  fi
}

# Sets `session` to that of this shell, and `spared` to it, its ancestors and the watcher.
learn() {
  spared=" $watcher " session= own=$$
  rows=$(processes)
  while [ "${own:-0}" -gt 0 ]; do
    spared="$spared$own " next=
    while read -r pid start parent leader; do
      [ "$pid" = "$own" ] || continue
      next=$parent
      : "${session:=$leader}"
    done <<ROWS
$rows
ROWS
    own=$next
  done
}

# Sets `pids` to the living processes of the command: its descendants, those of its session, those
# that bear its mark, and all that come from these. Once known, a process stays known.
look() {
  rows=$(processes)
  marked=
  if [ -r /proc/self/environ ]; then
    marked=$(grep -ls "SQUALL_EXECUTION_ID=$execution" /proc/[0-9]*/environ 2>/dev/null)
    marked=" $(echo $marked) "
  fi
  pids=" " before=
  while [ "$pids" != "$before" ]; do
    before=$pids
    while read -r pid start parent leader; do
      case "$spared$pids" in *" $pid "*) continue ;; esac
      [ "$parent" = "$watcher" ] && continue
      case "$known$marked$pids" in
        *" $pid/$start "* | *" /proc/$pid/environ "* | *" $parent "* | *" $leader "*) ;;
        *) [ "$parent" = $$ ] || [ "$leader" = "$session" ] || continue ;;
      esac
      pids="$pids$pid " known="$known$pid/$start "
    done <<ROWS
$rows
ROWS
  done
  [ "$pids" != " " ]
}

signal() {
  for pid in $pids; do
    kill -s "$1" "$pid" 2>/dev/null || sudo -n kill -s "$1" "$pid" 2>/dev/null
  done
}

pause() {
  sleep 0.1 2>/dev/null || sleep 1
}

watch() {
  trap '' HUP INT TERM
  watcher=$(exec sh -c 'echo "$PPID"')
  known=" "
  while read -r line; do :; done <&3
  learn
  look
  # It would take the end of the command for the end of the work.
  kill -s KILL $$
  signal TERM
  rounds=$((grace * 10))
  while look && [ "$rounds" -gt 0 ]; do
    rounds=$((rounds - 1))
    pause
  done
  rounds=50
  while look && [ "$rounds" -gt 0 ]; do
    signal KILL
    rounds=$((rounds - 1))
    pause
  done
  [ -z "$remove" ] || rm -rf -- "$remove"
}

watch &
watcher=$!
printf '%s' "$command" | (
  exec 3<&-
  variables
  export SQUALL_EXECUTION_ID="$execution"
  cd -- "$directory" || exit 1
  exec "$shell" -c 'c=$(cat); eval "exec </dev/null; unset c; $c"' "$shell"
)
status=$?
{
  kill -s KILL "$watcher"
  wait "$watcher"
} 2>/dev/null
[ -z "$remove" ] || rm -rf -- "$remove"
exit "$status"
