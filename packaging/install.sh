#!/bin/sh
# Makes a kiosk of this Debian or Ubuntu machine: builds the package and installs it with the browser. Run as root.
#
#   packaging/install.sh [FILE.deb]        a package that was built before is installed without a network
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ "$(id -u)" != 0 ]; then
    echo "install.sh: run it as root, as it installs packages and makes users" >&2
    exit 2
fi
if [ $# != 0 ] && [ ! -f "$1" ]; then
    echo "install.sh: $1 is not there; build it with packaging/build_deb.sh" >&2
    exit 2
fi
if [ $# = 0 ]; then
    apt-get install -y python3-venv
    folder=$(mktemp -d)
    chmod 755 "$folder"
    "$here/build_deb.sh" "$folder"
    set -- "$folder"/edgedrag_*.deb
fi
apt-get install -y chromium cage xwayland fonts-noto-cjk # cage does not start without Xwayland
apt-get install -y "$(realpath "$1")"
if [ -d /run/systemd/system ]; then
    systemctl disable --now getty@tty1.service || true
    systemctl start edgedrag-screen.service
fi
echo "The staff code is in /var/lib/edgedrag-studio/staff-code. Settings: /etc/edgedrag/studio.toml"
