# After the files are laid down; $1 is 1 for a first installation, 2 for an upgrade.
# systemd's own rules for its folders do most of this on Rocky too; said here, it also holds where they do not, and doing it twice is harmless.
if command -v systemd-sysusers >/dev/null 2>&1 && [ -e /usr/lib/sysusers.d/patchcored.conf ]; then
    systemd-sysusers /usr/lib/sysusers.d/patchcored.conf || :
fi
if command -v systemd-tmpfiles >/dev/null 2>&1; then systemd-tmpfiles --create /usr/lib/tmpfiles.d/patchcored.conf || :; fi
# Up to 0.1.0 everything belonged to the group patchcored, and cameras were in it. What decides is now out of their reach.
if [ "$1" != 1 ]; then
    for file in /etc/patchcored/config.yaml /var/lib/patchcored/history.db /var/lib/patchcored/history.db-wal /var/lib/patchcored/history.db-shm; do
        if [ "$(stat -c %G "$file" 2>/dev/null)" = patchcored ]; then
            chgrp patchcored-read "$file"
            chmod g-w "$file"
        fi
    done
fi
if [ -d /run/systemd/system ]; then
    for setting in /usr/lib/sysctl.d/*-patchcored.conf; do sysctl --quiet --load="$setting" || :; done
    systemctl daemon-reload || :
    # The distribution's presets decide; Rocky's leave a new service off until it is enabled by hand.
    if [ "$1" = 1 ]; then systemctl --quiet preset patchcored.service || :; fi
fi
exit 0
