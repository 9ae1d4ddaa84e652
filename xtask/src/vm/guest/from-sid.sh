#!/bin/sh
# Run by mmdebstrap when the root is otherwise done: from-sid.sh ROOT PACKAGE.
# Takes one package that is independent of the architecture from Debian
# unstable; what it depends on is there already, of the root's own release.
set -eu
root=$1 package=$2
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
list=$root/etc/apt/sources.list.d/sid.list
sed -n '1s/^\(deb [^ ]*\) [^ ]* /\1 sid /p' "$root/etc/apt/sources.list" >"$list"
apt-get -q update
folder=$(mktemp -d "$root/tmp/from-sid.XXXXXX")
chmod 755 "$folder"
(cd "$folder" && apt-get -q download "$package/sid")
set -- "$folder"/*.deb
chroot "$root" dpkg --install "${1#"$root"}"
rm -r "$folder" "$list"
