#!/bin/bash
# The life of the package on this very Debian, in an overlay of `/` that is gone afterwards: installed, started, upgraded
# with a configuration that was changed, removed, purged. Needs root. Everything it promises is checked with `expect`.
#
#   unshare --mount --net --pid --fork --kill-child tests/package/life.sh sluice.deb
set -euo pipefail

[ "$(readlink /proc/self/ns/mnt)" != "$(readlink /proc/1/ns/mnt 2>/dev/null)" ] || {
    echo "run it by unshare, as above: it mounts things"
    exit 2
}
deb=$(realpath "$1")
# Nothing in here reaches the machine: what is written goes to memory, and all mounts end with this namespace. So nothing is
# deleted either, and no folder of the machine but `/` below the overlay is mounted.
work=/mnt
mount --make-rprivate /
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root
for folder in dev run tmp; do mount -t tmpfs tmpfs "$root/$folder"; done
mount -t proc proc "$root/proc"
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r name major minor <<<"$node"
    mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
ln -s /proc/self/fd "$root/dev/fd"
fail() { printf 'not so: %s\n' "$1"; exit 1; }
expect() { local what=$1; shift; "$@" >"$work/said" 2>&1 || { cat "$work/said"; fail "$what"; }; printf 'so: %s\n' "$what"; }
ip link set lo up
inside() { DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
# No service manager runs in here, and none of this machine may be told.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"

cp "$deb" "$root/tmp/one.deb"
# The next version: the same program with another configuration of its own.
dpkg-deb -R "$deb" "$work/next"
sed -i 's/^Version: .*/Version: 99.0.0-1/' "$work/next/DEBIAN/control"
printf '\n# Of the next version.\n' >>"$work/next/etc/sluice/sluice.toml"
dpkg-deb -Znone -b "$work/next" "$root/tmp/two.deb" >/dev/null

owner() { [ "$(inside stat -c '%U:%G %a' "$1")" = "$2" ]; }
status() { [ "$(inside dpkg-query -W -f '${db:Status-Abbrev}' sluice | tr -d ' ')" = "$1" ]; }
as_sluice() { exec chroot "$root" setpriv --reuid sluice --regid sluice --init-groups --no-new-privs "$@"; }
serves() {
    (as_sluice /usr/bin/sluice -c /etc/sluice/sluice.toml >"$work/out" 2>"$work/log") &
    local pid=$! tried
    for tried in $(seq 300); do
        if inside /usr/bin/sluice top --once http://127.0.0.1:9997 >"$work/top" 2>/dev/null && grep -q "$1" "$work/top"; then
            kill "$pid"
            wait "$pid"
            return
        fi
        sleep 0.1
    done
    cat "$work/out" "$work/log"
    kill "$pid"
    return 1
}

expect "it installs with what this machine has" inside dpkg -i /tmp/one.deb
expect "it has a user of its own" inside getent passwd sluice
expect "that user logs in nowhere" sh -c "chroot '$root' getent passwd sluice | grep -q ':/usr/sbin/nologin$'"
expect "the configuration is for it and for root only" owner /etc/sluice/sluice.toml "root:sluice 640"
expect "its folder, too" owner /etc/sluice "root:sluice 750"
expect "the service is enabled" test -L "$root/etc/systemd/system/multi-user.target.wants/sluice.service"
expect "the unit is a good one" inside systemd-analyze verify --man=no /usr/lib/systemd/system/sluice.service
expect "the unit is hardened" inside systemd-analyze security --offline=true --threshold=20 /usr/lib/systemd/system/sluice.service
expect "there is a manual page" test -s "$root/usr/share/man/man1/sluice.1.gz"
expect "there is one for each command" test -s "$root/usr/share/man/man1/sluice-doctor.1.gz"
expect "bash completes its commands" bash -c \
    ". '$root/usr/share/bash-completion/completions/sluice'; COMP_WORDS=(sluice doc); COMP_CWORD=1; _sluice sluice doc sluice; [ \"\${COMPREPLY[*]}\" = doctor ]"
checks() { (as_sluice /usr/bin/sluice check /etc/sluice/sluice.toml); }
expect "its configuration is a good one" checks
expect "as it is it serves the demo" serves demo

printf '[streams.mine]\nsource = "demo"\n' >>"$root/etc/sluice/sluice.toml"
inside touch /etc/sluice/key.pem
# As the unit's StateDirectory= would.
inside mkdir -p /var/lib/sluice/acme
# Standard input ends: whoever asks gets no answer, and the package asks only if both changed.
expect "the next version is installed over it" inside dpkg --force-confdef --force-confold -i /tmp/two.deb </dev/null
expect "it asked what to do with the configuration, and kept ours" grep -q "streams.mine" "$root/etc/sluice/sluice.toml"
expect "its own is beside ours" grep -q "Of the next version" "$root/etc/sluice/sluice.toml.dpkg-dist"
expect "the configuration is still for it and for root only" owner /etc/sluice/sluice.toml "root:sluice 640"
expect "it serves what we have configured" serves mine

expect "it is removed" inside dpkg -r sluice
expect "dpkg knows that its configuration is left" status rc
expect "the configuration is left" grep -q "streams.mine" "$root/etc/sluice/sluice.toml"
expect "the program is not" test ! -e "$root/usr/bin/sluice"
expect "the unit is not" test ! -e "$root/usr/lib/systemd/system/sluice.service"

expect "it is purged" inside dpkg -P sluice
expect "nothing of it is left in /etc" test ! -e "$root/etc/sluice"
expect "no certificate is left" test ! -e "$root/var/lib/sluice"
expect "the service is not enabled any more" test ! -e "$root/etc/systemd/system/multi-user.target.wants/sluice.service"
expect "its user stays" inside getent passwd sluice
# A character device is overlayfs's mark of what was deleted.
left=$(find "$work/upper/usr" -iname '*sluice*' ! -type c | head)
[ -z "$left" ] || fail "files are left: $left"
