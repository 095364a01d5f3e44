#!/bin/sh
# Run a command whose test fixtures start nodes of RabbitMQ 4. usage: rabbitmq4.sh COMMAND...
# If the RabbitMQ of the machine is older, the script uses that of Debian 13, in a chroot that is made once.
# RABBITMQ4_ROOT: the directory of the chroot. All mounts belong to a mount namespace of the command, and end with it.
set -eu

say() { echo "rabbitmq4: $*"; }

own=$(dpkg-query -W -f '${Version}' rabbitmq-server 2>/dev/null || true)
case "$own" in
[4-9].* | [1-9][0-9]*.*)
    say "the RabbitMQ of this machine is $own"
    exec "$@"
    ;;
esac
[ "$(id -u)" = 0 ] || {
    say "the RabbitMQ of this machine is ${own:-not installed}; a chroot with RabbitMQ 4 needs root: run it as root" >&2
    exit 2
}

root=${RABBITMQ4_ROOT:-$PWD/.rabbitmq4}
if [ ! -x "$root/usr/lib/rabbitmq/bin/rabbitmq-server" ]; then
    say "making a Debian 13 with rabbitmq-server in $root by debootstrap: 500 MB, about a minute"
    rm -rf --one-file-system "$root" "$root.new"
    debootstrap --variant=minbase --include=rabbitmq-server trixie "$root.new" >"$root.log" 2>&1 || {
        tail -n 3 "$root.log" >&2
        say "debootstrap failed; $root.log has its output" >&2
        exit 1
    }
    mv "$root.new" "$root"
fi
say "RabbitMQ $(chroot "$root" dpkg-query -W -f '${Version}' rabbitmq-server) in $root"

export TEST_RABBITMQ_ROOT="$root"
exec unshare -m sh -eu -c '
for directory in /proc /dev "${TMPDIR:-/tmp}"; do
    mkdir -p "$TEST_RABBITMQ_ROOT$directory"
    mount --rbind "$directory" "$TEST_RABBITMQ_ROOT$directory"
done
exec "$@"' sh "$@"
