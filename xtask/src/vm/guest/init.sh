#!/bin/sh
# First process of the ZFS machine. It runs one command and says its exit
# status on a port of its own, so that a panic is never taken for an answer.
export PATH=/in/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TERM="${TERM:-linux}"
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,gid=5 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /in /out
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/mounts /etc/mtab
hostname zfs-vm
ip link set lo up
echo 4096 > /proc/sys/kernel/printk_ratelimit_burst

/lib/systemd/systemd-udevd --daemon
udevadm trigger --type=devices --action=add
udevadm settle --timeout=120

port() { echo "/dev/virtio-ports/$1"; }
[ -e "$(port ctl)" ] && exec 9> "$(port ctl)"
say() { [ -e "$(port ctl)" ] && echo "$*" >&9; }

if ! modprobe zfs; then
    echo "zfs-vm: cannot load the zfs module"
    say "failed cannot load the zfs module"
    echo o > /proc/sysrq-trigger; sleep 60
fi
zgenhostid -f 00bab10c 2>/dev/null
tar -xf /dev/disk/by-id/virtio-in -C /in || say "failed cannot unpack what was copied in"
say "up $(cat /sys/module/zfs/version) $(uname -r)"

cd /in
if [ -e /in/.vm/shell ]; then
    stty -F /dev/ttyS0 $(cat /in/.vm/shell) 2>/dev/null
    setsid -c /bin/bash -l < /dev/ttyS0 > /dev/ttyS0 2>&1
    status=$?
else
    sh /in/.vm/command < /dev/null > "$(port stdout)" 2> "$(port stderr)" 9>&-
    status=$?
fi
[ -e "$(port results)" ] && tar -cf "$(port results)" -C /out . 2>/dev/null
say "exit $status"
sync
exec 9>&-
echo o > /proc/sysrq-trigger
sleep 60
