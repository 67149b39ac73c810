#!/bin/sh
# Fetches what the tests of deploy/ need beside this file, once: Helm, an OpenTelemetry collector and published schemas by
# the Go module proxy, Python environments for checking manifests and for Airflow.
#   sh test/deploy/prepare.sh && pnpm test:deploy
# Needs Go 1.26 or newer and Python 3.10 or newer; takes 2 GB of disk, and some minutes on two cores.
set -eu
folder="$(cd "$(dirname "$0")" && pwd)"
tools="$folder/.tools"
mkdir -p "$tools"

# A module that is not there yet is fetched with its sums, which the lines below pin by its version.
schema() { # module@version, file in it, name here
  [ -s "$tools/$3" ] && return
  directory="$(cd "$tools" && GOFLAGS=-mod=mod go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')"
  cp "$directory/$2" "$tools/$3"
  chmod u+w "$tools/$3"
}

environment() { # name, file of requirements
  python="$folder/$1/bin/python"
  if ! cmp -s "$folder/$2" "$folder/$1/made-of"; then
    python3 -m venv --clear "$folder/$1"
    "$python" -m pip install --quiet --disable-pip-version-check --requirement "$folder/$2"
    cp "$folder/$2" "$folder/$1/made-of"
  fi
}

(
  environment .venv requirements.txt
  environment .venv-airflow requirements-airflow.txt
) &
[ -f "$tools/go.mod" ] || (cd "$tools" && go mod init tailrace.test/tools 2>/dev/null)
schema github.com/compose-spec/compose-go/v2@v2.16.2 schema/compose-spec.json compose-spec.json
schema github.com/prometheus-operator/prometheus-operator@v0.85.0 \
  example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml servicemonitors.yaml
[ -x "$tools/helm" ] || GOBIN="$tools" go install helm.sh/helm/v3/cmd/helm@v3.22.0
# Its sources are here, because the released collectors are in no package registry.
[ "$tools/collector" -nt "$folder/collector/go.mod" ] || (cd "$folder/collector" && go build -o "$tools/collector" .)
wait $!
