#!/bin/sh
# Writes what the jobs need of this release: the package, and the statements of its views and streaming tables. The
# variables of the config that ships (docs/configuration.md) name the servers and tables.
set -eu
folder="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$folder/../../.." && pwd)"
pnpm() { npx -y pnpm@10.34.9 --dir "$root" "$@"; }

mkdir -p "$folder/generated"
pnpm pack --out "$folder/generated/tailrace.tgz" >&2
# In the package the config imports itself by name.
sed "s#'./src/index.ts'#'tailrace'#" "$root/pipeline.config.ts" >"$folder/generated/pipeline.config.ts"
pnpm --silent tailrace tables create --views >"$folder/generated/views.sql"
TAILRACE_SINK=databricks TAILRACE_SINK_MODE=stage-only pnpm --silent tailrace tables create --print \
  >"$folder/generated/streaming-tables.sql"
