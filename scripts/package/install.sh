#!/bin/sh
# Installs patchcored from this unpacked tarball; run it as root. Run again with a newer tarball, it upgrades.
#   ./install.sh                     onto this system: files, user, folders, service (which is neither enabled nor started)
#   DESTDIR=/some/root ./install.sh  the files only, below that folder
# A configuration that is there already is kept.
set -eu
cd "$(dirname "$0")"
dest=${DESTDIR:-}
config=/etc/patchcored/config.yaml
if [ -z "$dest" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "error: this installs programs and makes a user: run it as root, or set DESTDIR" >&2
        exit 1
    fi
    if command -v rpm >/dev/null 2>&1 && rpm -q patchcored >/dev/null 2>&1; then
        echo "error: patchcored is installed as an RPM; upgrade that, or remove it first with: dnf remove patchcored" >&2
        exit 1
    fi
    if command -v dpkg >/dev/null 2>&1 && dpkg --status patchcored 2>/dev/null | grep -q '^Status: .* installed$'; then
        echo "error: patchcored is installed as a Debian package; upgrade that, or remove it first with: apt remove patchcored" >&2
        exit 1
    fi
fi
step=1
if [ -e "$dest/usr/bin/patchcored" ]; then step=2; fi

if [ -z "$dest" ]; then sh scriptlets/pre.sh "$step"; fi
(cd root && find . -type f | sed 's/^\.//') | while IFS= read -r file; do
    if [ "$file" = "$config" ] && [ -e "$dest$config" ]; then
        echo "kept $dest$config as it is; the new defaults are in /usr/share/doc/patchcored/config.yaml.example"
    else
        install -D -m "$(stat -c %a "root$file")" "root$file" "$dest$file"
    fi
done
if [ -n "$dest" ]; then
    echo "installed below $dest; user, folders and service are left to the system that it becomes"
    exit 0
fi
chgrp patchcored-read "$config"
sh scriptlets/post.sh "$step"
if [ "$step" = 2 ]; then sh scriptlets/postun.sh 1; fi
if [ "$step" = 2 ]; then
    echo "upgraded; a service that was running has been started again. To see what it says:"
    echo "  sudo -u patchcored patchcored status"
    exit 0
fi
echo "installed: edit $config, then see what it says to"
echo "  sudo -u patchcored patchcored check"
