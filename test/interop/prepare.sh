#!/bin/sh
# Makes a Python environment with delta-rs beside this file, once, and prints its interpreter:
#   TAILRACE_INTEROP_PYTHON="$(sh test/interop/prepare.sh)" pnpm test:interop
set -eu
folder="$(cd "$(dirname "$0")" && pwd)"
python="$folder/.venv/bin/python"
if ! "$python" -c 'import deltalake, pyarrow' 2>/dev/null; then
  python3 -m venv --clear "$folder/.venv" >&2
  "$python" -m pip install --quiet --requirement "$folder/requirements.txt" >&2
fi
echo "$python"
