#!/bin/sh
# Makes the streams beside this file with the OpenZFS of the machine it runs in,
# as root, and leaves them with zstream's own words about them in $1:
#
#   cargo xtask vm run --suite trixie --copy-in zfs-stream/tests/data/make-streams.sh \
#       --copy-out OUT -- sh make-streams.sh /out
#
# GUIDs, times and encryption are new each time, so the bytes are, too; the
# tests compare each stream with the dump that was made of it.
set -eu

out=$1
work=$(mktemp -d)
pool=streamdata
version=$(cat /sys/module/zfs/version | cut -d. -f1,2)
out=$out/$version
mkdir -p "$out"

finish() {
    zpool destroy -f $pool 2>/dev/null || true
    zpool destroy -f ${pool}2 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# Keeps what is on standard input, and what zstream says of it.
keep() {
    cat > "$work/stream"
    zstream dump -vv "$work/stream" > "$work/dump" 2>&1 || true
    gzip -9n < "$work/stream" > "$out/$1.zfs.gz"
    gzip -9n < "$work/dump" > "$out/$1.dump.gz"
}

# So many bytes that do not take much room here, and do not compress to nothing.
text() {
    seq 1 200
    yes "the $2 of many lines" | head -c "$1"
    seq 1 300
}

for name in $pool ${pool}2; do
    truncate -s 256M "$work/$name"
    zpool create -O mountpoint="$work/mnt-$name" -O atime=off $name "$work/$name"
done
mnt=$work/mnt-$pool

# A filesystem with files of all kinds, and two rounds of change.
zfs create -o compression=lz4 -o recordsize=128k -o dnodesize=auto -o xattr=sa $pool/fs
cd "$mnt/fs"
text 300000 first > large
seq 1 100 > small
echo tiny > tiny
mkdir folder
seq 1 2000 > folder/inside
truncate -s 1M sparse
seq 1 500 | dd of=sparse bs=4k seek=100 conv=notrunc 2>/dev/null
ln -s small link
ln small hard
setfattr -n user.note -v "$(seq -s, 1 400)" small 2>/dev/null || true
zfs snapshot $pool/fs@1
text 200000 second > large
rm tiny
truncate -s 8k sparse
seq 1 9 > new
zfs snapshot $pool/fs@2
zfs bookmark $pool/fs@1 $pool/fs#one
echo more > more
zfs snapshot $pool/fs@3
cd /

zfs send $pool/fs@1 | keep full
zfs send -Lec $pool/fs@1 | keep full-Lec
zfs send -i @1 $pool/fs@2 | keep incremental
zfs send -Le -i '#one' $pool/fs@2 | keep from-bookmark
zfs send -I @1 $pool/fs@3 | keep intermediates
zfs send -p $pool/fs@1 | keep properties
zfs hold keep $pool/fs@1
zfs send -h $pool/fs@1 | keep holds
zfs release keep $pool/fs@1

# Blocks of a megabyte, and compression with zstd.
zfs create -o recordsize=1M -o compression=zstd $pool/big
{ text 1500000 big; seq 1 9000; } > "$mnt/big/file"
zfs snapshot $pool/big@1
zfs send -L -c $pool/big@1 | keep large-blocks-zstd
zfs send -L $pool/big@1 | head -c 1500000 | keep cut-off

# A volume.
zfs create -V 8M -o volblocksize=16k $pool/vol
udevadm settle 2>/dev/null || sleep 1
seq 1 5000 | dd of=/dev/zvol/$pool/vol bs=16k seek=3 conv=notrunc 2>/dev/null
sync
zfs snapshot $pool/vol@1
zfs send -c $pool/vol@1 | keep volume

# Encrypted, sent raw and not.
head -c 32 /dev/zero | tr '\0' k > "$work/key"
zfs create -o encryption=on -o keyformat=raw -o keylocation="file://$work/key" $pool/secret
seq 1 3000 > "$mnt/secret/file"
zfs snapshot $pool/secret@1
echo changed > "$mnt/secret/other"
zfs snapshot $pool/secret@2
zfs send -w $pool/secret@1 | keep raw
zfs send -w -i @1 $pool/secret@2 | keep raw-incremental
zfs send $pool/secret@1 | keep decrypted

# A tree, with a clone.
zfs create $pool/tree
zfs create $pool/tree/a
seq 1 50 > "$mnt/tree/a/file"
zfs snapshot -r $pool/tree@1
zfs clone $pool/tree/a@1 $pool/tree/b
echo clone > "$mnt/tree/b/file"
zfs snapshot -r $pool/tree@2
zfs send -R $pool/tree@2 | keep recursive

# An interrupted one: the rest, and what is there already.
zfs send $pool/fs@1 | head -c 150000 | zfs receive -s ${pool}2/part 2>/dev/null || true
token=$(zfs get -Ho value receive_resume_token ${pool}2/part)
echo "$token" > "$out/token"
zstream token "$token" > "$out/token.txt"
zfs send -t "$token" | keep resumed
zfs send --saved ${pool}2/part 2>/dev/null | keep saved
# A redacted one. 2.1.11 refuses to make it: it takes no clone of the snapshot
# for its descendant.
zfs clone $pool/fs@1 $pool/redacted
echo gone > "$mnt/redacted/small"
zfs snapshot $pool/redacted@1
if zfs redact $pool/fs@1 book $pool/redacted@1; then
    zfs send --redact book $pool/fs@1 | keep redacted
    zfs send -i $pool/fs#book $pool/redacted@1 | keep from-redaction-bookmark
fi

# Names without case.
zfs create -o casesensitivity=insensitive $pool/nocase
echo text > "$mnt/nocase/File"
zfs snapshot $pool/nocase@1
zfs send $pool/nocase@1 | keep without-case

# More that is encrypted: a tree, a volume, and an interrupted one.
zfs create -o encryption=on -o keyformat=raw -o keylocation="file://$work/key" $pool/vault
zfs create $pool/vault/child
seq 1 6000 > "$mnt/vault/child/file"
seq 1 5000 > "$mnt/vault/child/more"
zfs snapshot -r $pool/vault@1
zfs send -w -R $pool/vault@1 | keep raw-recursive
zfs create -V 1M -o volblocksize=16k $pool/vault/vol
udevadm settle 2>/dev/null || sleep 1
seq 1 5000 | dd of=/dev/zvol/$pool/vault/vol bs=16k seek=3 conv=notrunc 2>/dev/null
sync
zfs snapshot $pool/vault/vol@1
zfs send -w $pool/vault/vol@1 | keep raw-volume
zfs send -w $pool/vault/child@1 | head -c 34000 | zfs receive -s ${pool}2/rawpart 2>/dev/null || true
token=$(zfs get -Ho value receive_resume_token ${pool}2/rawpart)
zfs send -t "$token" | keep raw-resumed

# Long names, and a directory whose table of names is longer than 128 KiB; both
# since 2.3.
if zfs create -o longname=on $pool/long 2>/dev/null; then
    echo text > "$mnt/long/$(printf '%0300d' 7)"
    zfs snapshot $pool/long@1
    zfs send $pool/long@1 | keep long-name
fi
micro=/sys/module/zfs/parameters/zap_micro_max_size
if [ -w $micro ]; then
    before=$(cat $micro)
    echo 1048576 > $micro
    zfs create -o recordsize=1M $pool/micro
    echo text > "$mnt/micro/file"
    seq 1 2500 | while read -r number; do ln "$mnt/micro/file" "$mnt/micro/link$number"; done
    zfs snapshot $pool/micro@1
    zfs send -L $pool/micro@1 | keep large-microzap
    echo "$before" > $micro
fi

ls -l "$out"
