#!/bin/sh
# Parameters with a position are arguments in that order; the exit status decides about success.
path=$1
limit=$2

used=$(df -P -- "$path" | awk 'NR == 2 { sub("%", "", $5); print $5 }')
[ -n "$used" ] || exit 1
echo "$used"
if [ "$used" -gt "$limit" ]; then
    echo "$path is $used% full, more than the $limit% that are allowed." >&2
    exit 1
fi
