#!/usr/bin/env bash
# Start a part of a Dask cluster that reads archives. Every machine needs the same version of Deedbox: pip install 'deedbox[cluster]'
#
# usage: dask-cluster.sh scheduler [HOST] [PORT]         on one machine; HOST is its address in the private network
#        dask-cluster.sh worker tcp://HOST:8786 [COUNT]  on each machine that reads; COUNT processes, one per core by default
set -euo pipefail
case "${1:-}" in
  scheduler) exec dask scheduler --host "${2:-127.0.0.1}" --port "${3:-8786}" --no-dashboard ;;
  worker) exec dask worker "${2:?address of the scheduler, tcp://HOST:8786}" --nworkers "${3:--1}" --nthreads 1 --no-dashboard ;;
  *) sed -n '4,5s/^# //p' "$0" >&2; exit 2 ;;
esac
