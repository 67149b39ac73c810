#!/bin/sh
# Makes a stand-in for the image that the Dockerfile is built on, because no registry of images may be reachable where
# the tests run: the same release of Node from npm, with the few programs of this Debian that the build's steps call.
#   sh test/deploy/base-image.sh
# Needs buildah, npm, and root. Does nothing when the image is there.
set -eu
root="$(cd "$(dirname "$0")/../.." && pwd)"
version="$(sed -n 's/^ARG NODE_VERSION=//p' "$root/Dockerfile")"
name="docker.io/library/node:$version-bookworm-slim"
if buildah inspect --type image "$name" >/dev/null 2>&1; then exit 0; fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
npm install --silent --no-audit --no-fund --prefix "$work/npm" "node@$version" npm@10.9.9 >&2
base="$work/base"
mkdir -p "$base/usr/local/bin" "$base/usr/local/lib/node_modules" "$base/usr/bin" "$base/usr/lib" "$base/usr/lib64" \
  "$base/etc/ssl/certs" "$base/root" "$base/tmp" "$base/proc" "$base/dev" "$base/sys"
for merged in bin lib lib64; do ln -s "usr/$merged" "$base/$merged"; done
cp "$work"/npm/node_modules/node/bin/node "$base/usr/local/bin/node"
cp -r "$work/npm/node_modules/npm" "$base/usr/local/lib/node_modules/npm"
for command in npm npx; do
  ln -s "../lib/node_modules/npm/bin/$command-cli.js" "$base/usr/local/bin/$command"
done
programs='basename cat chown cp dash dirname env find gzip ls mkdir mv rm sed tar uname'
for program in $programs; do cp "/usr/bin/$program" "$base/usr/bin/$program"; done
ln -s dash "$base/usr/bin/sh"
for file in $programs; do
  ldd "/usr/bin/$file"
done | sed -n 's/.* \(\/[^ ]*\) (.*/\1/p' >"$work/libraries"
ldd "$base/usr/local/bin/node" | sed -n 's/.* \(\/[^ ]*\) (.*/\1/p' >>"$work/libraries"
# The linker's name is absolute in every program; name resolution is loaded when it is needed.
ls /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.* /lib/*-linux-gnu/libnss_dns.so.2 /lib/*-linux-gnu/libnss_files.so.2 \
  2>/dev/null >>"$work/libraries" || true
sort -u "$work/libraries" | while read -r library; do cp -L --parents "$library" "$base"; done
cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/ca-certificates.crt"
printf 'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n' >"$base/etc/passwd"
printf 'root:x:0:\nnode:x:1000:\n' >"$base/etc/group"

container="$(buildah from scratch)"
buildah add --quiet "$container" "$base" / >/dev/null
# A network with certificates of its own needs them during the build.
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt --cmd node "$container"
buildah commit --quiet --rm "$container" "$name" >/dev/null
