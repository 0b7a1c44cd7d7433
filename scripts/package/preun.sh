# Before the files go; $1 is 0 for a removal, 1 for an upgrade. The images in hand are finished and recorded before it stops.
if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then systemctl --quiet disable --now patchcored.service || :; fi
exit 0
