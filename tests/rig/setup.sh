#!/usr/bin/env bash
# Installs what the tests run against: espeak-ng, curl, sqlite3, rsync, Chromium, aimock, axe-core
# and livekit-server. Safe to run again.
set -euo pipefail

AIMOCK=1.43.0
AXE=4.14.1
LIVEKIT=1.13.5

: "${HOME:=$(cd ~ && pwd)}"
export HOME
cache="${XDG_CACHE_HOME:-$HOME/.cache}/voice-runner"

missing() {
  printf '%s\n' "$@" >&2
  exit 1
}

install_package() {
  local name=$1 purpose=$2
  if command -v "$name" >/dev/null; then return; fi
  local apt="apt-get install -y --no-install-recommends $name"
  local as_root=()
  if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
  if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $apt ||
      { "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $apt; }
  else
    missing "$name is missing: $purpose. Install it with:" "  sudo $apt"
  fi
}

# install_from_npm PACKAGE VERSION
install_from_npm() {
  if grep -qs "\"version\": \"$2\"" "$cache/node_modules/$1/package.json"; then return; fi
  command -v npm >/dev/null ||
    missing "npm is missing: install Node.js 20 or newer with npm, then run this again."
  npm install --prefix "$cache" --no-audit --no-fund --loglevel error "$1@$2"
}

install_livekit() {
  local binary="$cache/livekit-server-$LIVEKIT"
  if [ -x "$binary" ] || command -v livekit-server >/dev/null; then return; fi
  command -v go >/dev/null ||
    missing "go is missing: install Go 1.24 or newer, or put a livekit-server on PATH." \
      "Then run this again."
  local build="$cache/build"
  echo "building livekit-server $LIVEKIT (two minutes the first time)"
  GOBIN="$build" CGO_ENABLED=0 \
    go install "github.com/livekit/livekit-server/cmd/server@v$LIVEKIT"
  mv "$build/server" "$binary"
  rmdir "$build"
}

mkdir -p "$cache"
install_package espeak-ng "it makes the speech of the test's callers"
install_package curl "the README of examples/database shows it"
install_package sqlite3 "the README of examples/database shows it"
install_package rsync "it brings edits"
command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
  install_package chromium "it shows the studio's page"
install_from_npm @copilotkit/aimock "$AIMOCK"
install_from_npm axe-core "$AXE"
install_livekit
echo "the test rig is ready"
