#!/usr/bin/env bash
# Prints the folder of a static librdkafka 2.15.1, building it first when it is not there:
#
#     librdkafka.sh [release|tsan]    ->  FOLDER/include/librdkafka/*.h, FOLDER/lib/librdkafka.a
#
# Debian 12 has 2.0.2, which loses messages and stalls. The source is the one that the npm package
# below carries whole; it is unpacked, never installed, so none of the package's own scripts run.
# Half of what the sink spends on a record is spent here, hence -O3 (a twentieth of that half).
# The tsan variant has no C11 threads: ThreadSanitizer does not know glibc's thrd_create.
#
# One mistake of that version is mended here, in librdkafka-markers.patch, which says what it does.
#
# Runs at the same time wait for one another, and a folder appears only when it is complete.
set -euo pipefail

version=2.15.1
package=@confluentinc/kafka-javascript@1.10.1
sha256=ada7d703bb1d3237e2292bfabf438d663b6160c9f1ac2a2406b5dc4257c81b66

variant=${1:-release}
features=(--disable-gssapi --enable-ssl --enable-curl --enable-zlib --enable-zstd --enable-lz4-ext)
case $variant in
    release) recipe=("${features[@]}"
                     --CFLAGS='-O3 -fno-semantic-interposition -g -fstack-protector-strong') ;;
    tsan) recipe=("${features[@]}" --disable-c11threads --disable-optimization
                  --CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=thread' --LDFLAGS=-fsanitize=thread) ;;
    *) echo "usage: $0 [release|tsan]" >&2; exit 64 ;;
esac

cache=${XDG_CACHE_HOME:-$HOME/.cache}/pgsluice
folder=$cache/librdkafka-$version-$variant
patch=$(realpath "$(dirname "$0")")/librdkafka-markers.patch
stamp="$sha256 $(sha256sum <"$patch") ${recipe[*]}"

built() { [[ -f $folder/stamp && $(<"$folder/stamp") == "$stamp" ]]; }

fetch() {
    local name
    name=$(cd "$work" && npm pack --silent --ignore-scripts "$package")
    echo "$sha256  $work/$name" | sha256sum --check
    tar -xzf "$work/$name" -C "$work" --strip-components=3 package/deps/librdkafka
    patch -d "$work" -p 1 <"$patch"
}

build() {
    cd "$work"
    ./configure --no-download "${recipe[@]}"
    # A missing -dev package must not silently drop a feature.
    local feature
    for feature in SSL CURL ZLIB ZSTD LZ4_EXT SASL_SCRAM SASL_OAUTHBEARER OAUTHBEARER_OIDC; do
        grep "^#define WITH_$feature 1" config.h || { echo "no $feature: is a -dev package missing?"; false; }
    done
    make -j"$(nproc)" -C src librdkafka.a
}

assemble() {
    install -D -m 644 -t ready/include/librdkafka src/rdkafka.h src/rdkafka_mock.h
    install -D -m 644 -t ready/lib src/librdkafka.a
    install -D -m 644 -t ready LICENSES.txt
    echo "$stamp" >ready/stamp
    rm -rf "$folder"
    mv ready "$folder"
}

finish() {
    local status=$?
    ((status == 0)) || tail -n 30 "$log" >&4
    rm -rf "$work"
}

mkdir -p "$cache"
exec 9>"$folder.lock"
flock 9
if ! built; then
    log=$folder.log
    echo "librdkafka: fetching $version from npm, then compiling it ($variant): 1 to 3 minutes, once" >&2
    work=$(mktemp -d "$cache/build.XXXXXX")
    exec 3>&1 4>&2 >"$log" 2>&1
    trap finish EXIT
    fetch
    echo "librdkafka: compiling; its output goes to $log" >&4
    build
    assemble
    exec >&3 2>&4
fi
echo "$folder"
