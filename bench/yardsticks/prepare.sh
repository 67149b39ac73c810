#!/bin/sh
# Makes the Python environment of the yardsticks (Spark's apart) in bench/.work, once for these requirements, and prints
# its interpreter.
set -eu
folder="$(cd "$(dirname "$0")" && pwd)"
environment="$folder/../.work/yardsticks-venv"
python="$environment/bin/python"
# Written last, so that an installation that was broken off is made again.
made_of="$environment/made-of"
if ! cmp -s "$folder/requirements.txt" "$made_of"; then
  python3 -m venv --clear "$environment" >&2 || {
    echo 'prepare.sh: no environment could be made. On Debian: apt-get install python3 python3-venv' >&2
    exit 1
  }
  "$python" -m pip install --quiet --disable-pip-version-check --requirement "$folder/requirements.txt" >&2
  cp "$folder/requirements.txt" "$made_of"
fi
echo "$python"
