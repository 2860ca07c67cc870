#!/usr/bin/env bash
# rootfs.sh PACKAGE.deb FOLDER: the image's root file system, for `./dev image` and the Dockerfile alike. In it are the
# program, the libraries that the Debian package depends on, the certificates of the CAs, a user, and the licences; there is
# no shell, no package manager, and nothing that could be written to but /tmp.
set -euo pipefail
package=$(realpath "${1:?a package}") root=${2:?a folder}
user=65532
[[ ! -e $root ]] || { echo "rootfs.sh: $root is there already" >&2 && exit 64; }

# libc6 (>= 2.34), libpq5 (>= 9.2) -> libc6,libpq5
depends=$(dpkg-deb -f "$package" Depends | sed -E 's/ *\([^)]*\)//g; s/, */,/g')

# Unpacked, not set up: what runs then, shells and interpreters, is not even there.
mmdebstrap --quiet --variant=extract --include="$depends" bookworm "$root"
dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" ./usr/bin/pgsluice ./usr/share/doc/pgsluice/{copyright,librdkafka.LICENSES.txt}

# In one file, which ca-certificates would make when it is set up.
find "$root/usr/share/ca-certificates" -name '*.crt' -print0 | sort -z | xargs -0 cat >"$root/etc/ssl/certs/ca-certificates.crt"

find "$root/usr/bin" "$root/usr/sbin" -mindepth 1 ! -name pgsluice -delete
find "$root/usr/share" -mindepth 1 -maxdepth 1 ! -name doc -exec rm -r {} +
find "$root/usr/share/doc" ! -type d ! -name copyright ! -name '*LICENSES*' -delete
find "$root/usr/share/doc" -type d -empty -delete
find "$root/etc" -mindepth 1 -maxdepth 1 ! -name ssl -exec rm -r {} +
find "$root/etc/ssl" -mindepth 1 ! -path '*/certs*' ! -name openssl.cnf -delete
find "$root" -mindepth 1 -maxdepth 1 \( -name var -o -name dev \) -exec rm -r {} +
find "$root/usr/lib" \( -name gconv -o -path "*/ssl/misc" \) -prune -exec rm -r {} +
mkdir -p "$root"/{dev,proc,sys,run,etc}

echo "pgsluice:x:$user:$user::/:/nonexistent" >"$root/etc/passwd"
echo "pgsluice:x:$user:" >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
chmod 755 "$root"
