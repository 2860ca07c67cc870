#!/usr/bin/env bash
# boot.sh ROOT [UNSHARED]: the systemd of a Debian in a folder, in namespaces of its own, but with this host's network. It
# is process 1 there, so when the process that this becomes is killed, all of it is gone, and so are the mounts.
set -euo pipefail
root=$1

# Its cgroups are below one of ours: the namespace shows it as the root of all.
enter_cgroup() {
    local base=/sys/fs/cgroup
    [[ -e $base/cgroup.controllers ]] || base=$base/systemd # version 1 has a folder for systemd
    mkdir -p "$base/pgsluice-package"
    echo $$ >"$base/pgsluice-package/cgroup.procs"
}

mount_cgroups() {
    if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    else
        mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
        mkdir "$root/sys/fs/cgroup/systemd"
        mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    fi
}

mount_devices() {
    local device
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
}

mount_all() {
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mount_cgroups
    mount_devices
}

if (($# == 1)); then
    enter_cgroup
    exec unshare --mount --pid --fork --kill-child --cgroup --uts --ipc "$0" "$root" unshared
fi
mount_all
cd "$root"
pivot_root . mnt # not chroot: systemd binds its root for units, and that has to be the whole of it
exec chroot . /usr/bin/env -i container=chroot PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /bin/sh -c 'umount --lazy /mnt && mount --make-rshared / && exec /lib/systemd/systemd'
