#!/bin/sh
# Takes away what install.sh of this tarball has installed; run it as root. Configuration, history, banks, images and the user stay.
set -eu
cd "$(dirname "$0")"
dest=${DESTDIR:-}
if [ -z "$dest" ]; then sh scriptlets/preun.sh 0; fi
(cd root && find . -type f ! -path './etc/*' | sed 's/^\.//') | while IFS= read -r file; do rm -f "$dest$file"; done
if [ -z "$dest" ]; then sh scriptlets/postun.sh 0; fi
if [ -z "$dest" ]; then
    echo "removed: the program, its weights and its service"
    echo "kept: the configuration (/etc/patchcored), the history (/var/lib/patchcored), banks and images where the configuration names them, the user and the groups"
fi
