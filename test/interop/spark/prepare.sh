#!/bin/sh
# Makes a Python environment with Spark and Delta beside this file, once, and prints its interpreter. Needs Java 17
# or newer and Maven; takes 500 MB of disk.
#   TAILRACE_INTEROP_SPARK="$(sh test/interop/spark/prepare.sh)" pnpm test:interop
set -eu
folder="$(cd "$(dirname "$0")" && pwd)"
python="$folder/.venv/bin/python"
if ! "$python" -c 'import delta, pyspark' 2>/dev/null; then
  python3 -m venv --clear "$folder/.venv" >&2
  "$python" -m pip install --quiet --requirement "$folder/requirements.txt" >&2
fi
jars="$("$python" -c 'import os, pyspark; print(os.path.join(os.path.dirname(pyspark.__file__), "jars"))')"
if ! ls "$jars"/delta-spark_*.jar >/dev/null 2>&1; then
  mvn --quiet --file "$folder/jars.xml" dependency:copy-dependencies \
    -DoutputDirectory="$jars" -DincludeGroupIds=io.delta >&2
fi
echo "$python"
