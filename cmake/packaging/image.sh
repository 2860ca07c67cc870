#!/usr/bin/env bash
# image.sh BUILD LAYOUT: the image of what was built there, as a folder in OCI's layout, by umoci: the Dockerfile's last
# stage without Docker. Its tags are the version and latest.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:?the folder of a build} layout=${2:?a folder for the image}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$build" && cpack -B "$work" -D CPACK_OUTPUT_FILE_PREFIX="$work" >/dev/null)
cmake/packaging/rootfs.sh "$work"/*.deb "$work/root"
version=$(dpkg-deb -f "$work"/*.deb Version)
version=${version%-*}

rm -rf "$layout"
umoci init --layout "$layout"
umoci new --image "$layout:$version"
umoci insert --image "$layout:$version" "$work/root" /
umoci config --image "$layout:$version" --os linux --architecture "$(dpkg --print-architecture)" \
    --config.user 65532:65532 --config.entrypoint /usr/bin/pgsluice --config.cmd run \
    --config.exposedports 8080/tcp --config.stopsignal SIGTERM \
    --config.label org.opencontainers.image.title=pgsluice \
    --config.label "org.opencontainers.image.version=$version" \
    --config.label org.opencontainers.image.licenses=MIT
umoci tag --image "$layout:$version" latest
umoci gc --layout "$layout"
echo "$layout: pgsluice $version, $(du -sm "$layout" | cut -f 1) MiB packed, $(du -sm "$work/root" | cut -f 1) MiB unpacked"
