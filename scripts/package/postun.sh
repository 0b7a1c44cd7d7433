# After the files are gone; $1 is 0 for a removal, 1 for an upgrade, in which the new version takes over now, since the old one's files are
# replaced. User, history, banks and images stay, also after a removal.
if [ "$1" = 0 ]; then
    # The RPM cannot own folders: cargo-generate-rpm 0.21 fails on them.
    for folder in /usr/lib64/patchcored /usr/share/doc/patchcored /usr/share/licenses/patchcored; do
        if [ -d "$folder" ]; then find "$folder" -depth -type d -empty -delete; fi
    done
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" != 0 ]; then systemctl try-restart patchcored.service || :; fi
fi
exit 0
