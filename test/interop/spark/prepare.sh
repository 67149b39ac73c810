#!/bin/sh
# Makes a Python environment with Spark and Delta beside this file and prints its interpreter; does nothing but print
# where that was done before. Needs Java 17 or newer, Python 3.9 or newer and Maven; takes 500 MB of disk.
#   TAILRACE_INTEROP_SPARK="$(sh test/interop/spark/prepare.sh)" pnpm test:interop
set -eu
folder="$(cd "$(dirname "$0")" && pwd)"
python="$folder/.venv/bin/python"
made_of="$folder/.venv/made-of"

fail() {
  echo "prepare.sh: $1" >&2
  exit 1
}

# Spark looks for Java the same way.
java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
version="$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')" || version=
[ -n "$version" ] || fail "Java is missing. On Debian: apt-get install default-jre-headless"
[ "$version" -ge 17 ] || fail "Java $version is too old, Spark needs 17 or newer."

# What is written last says that all of it is there, and of which versions.
if ! cat "$folder/requirements.txt" "$folder/jars.xml" | cmp -s - "$made_of"; then
  command -v mvn >/dev/null || fail "Maven is missing. On Debian: apt-get install maven"
  python3 -m venv --clear "$folder/.venv" >&2 ||
    fail "No environment could be made. On Debian: apt-get install python3 python3-venv"
  "$python" -m pip install --quiet --disable-pip-version-check --requirement "$folder/requirements.txt" >&2
  # Into Spark's own libraries: nothing has to be fetched, or named, when it starts.
  jars="$("$python" -c 'import os, pyspark; print(os.path.join(os.path.dirname(pyspark.__file__), "jars"))')"
  mvn --batch-mode --quiet --file "$folder/jars.xml" dependency:copy-dependencies \
    -DoutputDirectory="$jars" -DincludeGroupIds=io.delta >&2
  cat "$folder/requirements.txt" "$folder/jars.xml" >"$made_of"
fi
echo "$python"
