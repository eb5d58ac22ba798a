#!/usr/bin/env bash
# Installs the npm package `socket.io` into target/peers/node.
set -euo pipefail
exec "$(dirname "$0")/npm" socket.io@4.8.4
