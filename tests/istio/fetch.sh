#!/bin/sh
# fetch.sh FOLDER: makes of an empty folder one with all that `make test-istio` runs. What is there is kept.
#
#   bin/   pilot-discovery (istiod), pilot-agent, istioctl, kube-apiserver: built from the Go module proxy
#          etcd, docker-registry: from Debian's packages (apt-get, dpkg)
#   crds.yaml, bootstrap.json: from Istio's sources, of the same version
#   gateway-crds.yaml: the Gateway API, of the version that Istio's go.mod names
#
# The first time takes 25 to 40 minutes on two cores, needs Go 1.26 and 10 GB for Go's caches; 0.4 GB remain.
set -eu
ISTIO=v0.0.0-20260827124520-eed52ebb66ad  # 1.31-dev: the only version that the proxy resolves
KUBERNETES=1.36.1                         # the minor that Istio's go.mod names

out=$(mkdir -p "$1/bin" && cd "$1" && pwd)
given=${GOFLAGS-}  # such as -p=1, to leave a core to others
export GOFLAGS="-mod=mod $given"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# make NAME COMMAND...: runs the command where bin/NAME is missing; it has to leave $scratch/NAME.
make() {
    name=$1; shift
    [ -f "$out/bin/$name" ] && return
    command -v go >/dev/null || { echo 'Go is missing: https://go.dev/dl, 1.26 or newer' >&2; exit 2; }
    echo "making $name" >&2
    start=$(date +%s)
    "$@" "$name"
    # Moved into place when whole, so that an interrupted build leaves nothing behind.
    mv "$scratch/$name" "$out/bin/$name"
    echo "made $name in $(($(date +%s) - start)) s" >&2
}

# The folder of a module's sources.
sources() { (cd "$scratch" && go mod download -json "$1" | sed -n 's/^\t*"Dir": "\(.*\)",*$/\1/p'); }

# istio TAGS PACKAGE NAME: a command of Istio's.
istio() {
    GOBIN="$scratch" GOFLAGS="$given" go install -trimpath -tags "$1" \
        -ldflags '-s -w -X istio.io/istio/pkg/version.buildVersion=1.31-dev' "istio.io/istio/$2@$ISTIO"
}

# kube-apiserver NAME. Kubernetes takes its libraries from folders beside it, which a module does not have; the same
# libraries are published under k8s.io, as v0.
apiserver() {
    source=$(sources "k8s.io/kubernetes@v$KUBERNETES")
    mkdir "$scratch/api"
    {
        echo "module api"; echo "go 1.26.0"
        echo "require k8s.io/kubernetes v$KUBERNETES"
        sed -n "s#^\t\(k8s.io/[a-z-]*\) => ./staging.*#replace \1 => \1 v0.${KUBERNETES#1.}#p" "$source/go.mod"
        awk '/^require \(/ {inside = 1; next} /^\)/ {inside = 0} inside && $2 != "v0.0.0" {print "require " $1 " " $2}' "$source/go.mod"
    } > "$scratch/api/go.mod"
    cat "$source/go.sum" > "$scratch/api/go.sum"
    cat > "$scratch/api/main.go" <<'GO'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
GO
    (cd "$scratch/api" && go build -trimpath -ldflags '-s -w' -o "$scratch/$1" .)
}

# debian PACKAGE NAME: the file usr/bin/NAME of a Debian package, which is not installed.
debian() {
    (cd "$scratch" && apt-get download --quiet --quiet "$1" && dpkg -x "$1"_*.deb "$1.files") || {
        echo "the Debian package $1 could not be fetched (apt-get update?)" >&2; exit 2
    }
    mv "$scratch/$1.files/usr/bin/$2" "$scratch/$2"
}

# The quick ones first: what cannot be fetched is said before half an hour has been spent on building.
make etcd debian etcd-server
make docker-registry debian docker-registry
make pilot-discovery istio vtprotobuf,disable_pgv pilot/cmd/pilot-discovery
make pilot-agent istio agent,disable_pgv,grpcnotrace,retrynotrace pilot/cmd/pilot-agent
make istioctl istio vtprotobuf,disable_pgv istioctl/cmd/istioctl
make kube-apiserver apiserver
if [ ! -f "$out/crds.yaml" ] || [ ! -f "$out/bootstrap.json" ]; then
    source=$(sources "istio.io/istio@$ISTIO")
    cat "$source/manifests/charts/base/files/crd-all.gen.yaml" > "$scratch/crds.yaml"
    cat "$source/tools/packaging/common/envoy_bootstrap.json" > "$scratch/bootstrap.json"
    mv "$scratch/crds.yaml" "$scratch/bootstrap.json" "$out"
fi
if [ ! -f "$out/gateway-crds.yaml" ]; then
    source=$(sources "istio.io/istio@$ISTIO")
    version=$(sed -n 's#^\tsigs.k8s.io/gateway-api \(v[^ ]*\).*#\1#p' "$source/go.mod")
    definitions=$(sources "sigs.k8s.io/gateway-api@$version")/config/crd/standard
    for file in "$definitions"/gateway.networking.k8s.io_*.yaml; do
        cat "$file"; printf '\n---\n'
    done > "$scratch/gateway-crds.yaml"
    mv "$scratch/gateway-crds.yaml" "$out/gateway-crds.yaml"
fi
