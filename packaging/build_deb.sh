#!/bin/sh
# Builds the Debian package of a kiosk: the station, the screen, their users, policies and settings.
#
#   packaging/build_deb.sh [FOLDER]        writes FOLDER/edgedrag_VERSION_ARCH.deb (default: the current one)
#
# The machine needs Debian's python3-venv and dpkg-deb; the packages that edgedrag needs are downloaded and packed in, so
# that the kiosk needs no network. It has to have the Python version of the kiosk.
#   EXTRAS=gpu,studio  other extras of edgedrag than cpu,studio,heic
#   PACKAGES=FOLDER    pack the Python packages of a folder, edgedrag among them, and download nothing
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-.}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
root=$stage/root
cp -r "$here/kiosk" "$root"
mkdir -p "$root/usr/lib/edgedrag" "$root/usr/share/doc/edgedrag" "$root/DEBIAN"
cp "$here"/../docs/kiosk.md "$here"/../docs/studio.md "$here"/../docs/studio.schema.json "$root/usr/share/doc/edgedrag/"
cp "$here/../LICENSE" "$root/usr/share/doc/edgedrag/copyright"

if [ -n "${PACKAGES:-}" ]; then
    cp -a "$PACKAGES" "$root/usr/lib/edgedrag/python"
else
    /usr/bin/python3 -m venv "$stage/venv"
    "$stage/venv/bin/pip" install -q --target "$root/usr/lib/edgedrag/python" "$here/..[${EXTRAS:-cpu,studio,heic}]"
    rm -rf "$root/usr/lib/edgedrag/python/bin"
fi

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$here/../src/edgedrag/__init__.py")
architecture=$(dpkg --print-architecture)
next=$(/usr/bin/python3 -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1] + 1}")')
this=$(/usr/bin/python3 -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
cat > "$root/DEBIAN/control" <<CONTROL
Package: edgedrag
Version: $version
Architecture: $architecture
Maintainer: The edgedrag authors <edgedrag@example.invalid>
Section: graphics
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: python3 (>= $this), python3 (<< $next), systemd
Recommends: chromium, cage, xwayland, fonts-noto-cjk
Description: touch station for drag-based photo editing
 A service that edits photos on the device itself, and a full-screen browser
 for its visitors: take a photo, put a finger on something, pull.
CONTROL
(cd "$root" && find etc -type f | sed 's,^,/,') > "$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 "$here/debian/$script" "$root/DEBIAN/$script"
done
mkdir -p "$out"
chmod -R u=rwX,go=rX "$root"
chmod 755 "$root/usr/bin/edgedrag"
dpkg-deb --root-owner-group "-Z${COMPRESSION:-xz}" --build "$root" "$out/edgedrag_${version}_$architecture.deb"
