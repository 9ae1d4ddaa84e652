#!/bin/busybox sh
# First process in the initrd: finds the root disk and goes there.
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
for module in /modules/*.ko; do
    busybox insmod "$module" || echo "zfs-vm: cannot load $module"
done
# A busy host takes its time to show the disk.
tries=0
until [ -b /dev/vda ]; do
    tries=$((tries + 1))
    [ $tries -gt 1200 ] && { echo "zfs-vm: no root disk"; busybox poweroff -f; }
    busybox sleep 0.1
done
busybox mount -t ext4 -o noatime,barrier=0 /dev/vda /root ||
    { echo "zfs-vm: cannot mount the root disk"; busybox poweroff -f; }
# The machine's init rides in the initrd, so that changing it costs no new root.
busybox cp /zfs-vm-init /root/sbin/zfs-vm-init
busybox umount /proc
busybox mount --move /dev /root/dev
exec busybox switch_root /root /sbin/zfs-vm-init
