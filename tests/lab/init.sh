#!/bin/busybox sh
# First program of the guest: mount the host's root read-only with a layer in memory over it, and go there.
# shellcheck shell=dash
busybox="/bin/busybox"
$busybox mount -t devtmpfs dev /dev
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
while read -r module; do $busybox insmod "/modules/$module" || echo "init: $module does not load"; done </modules/order
options=trans=virtio,version=9p2000.L,msize=1048576
$busybox mount -t 9p -o "$options,cache=loose,ro" hostroot /host || echo "init: the host's root is not reached"
$busybox mount -t tmpfs rw /rw
$busybox mkdir /rw/upper /rw/work
$busybox mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work root /new || echo "init: no overlay"
for folder in dev proc sys; do $busybox mount --move "/$folder" "/new/$folder"; done
$busybox mount -t tmpfs run /new/run
$busybox mkdir -p /new/run/share
$busybox mount -t 9p -o "$options,cache=none" share /new/run/share || echo "init: the share is not reached"
exec $busybox switch_root /new /bin/bash /run/share/serve.sh
