#!/bin/sh
# What the benchmark needs beyond the tests: the peers, a C compiler and librabbitmq. $1: the virtual environment.
set -eu

VIRTUAL_ENV="$PWD/$1" "$1/bin/uv" pip install --quiet --group bench
if ! command -v gcc >/dev/null || [ ! -e /usr/include/amqp.h ]; then
    echo "bench: installing gcc and librabbitmq-dev from the system's packages"
    root=""
    [ "$(id -u)" = 0 ] || root="sudo -n"
    $root apt-get -qq update
    DEBIAN_FRONTEND=noninteractive $root apt-get -qq install -y --no-install-recommends gcc libc6-dev librabbitmq-dev >/dev/null
fi
