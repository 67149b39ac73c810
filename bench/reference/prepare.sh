#!/bin/sh
# Makes the reference's Python environment in bench/.work, once, and prints its interpreter.
set -eu
folder="$(cd "$(dirname "$0")" && pwd)"
environment="$folder/../.work/reference-venv"
if ! "$environment/bin/python" -c 'import azure.storage.blob, deltalake, pyarrow' 2>/dev/null; then
  python3 -m venv --clear "$environment" >&2
  "$environment/bin/python" -m pip install --quiet --requirement "$folder/requirements.txt" >&2
fi
echo "$environment/bin/python"
