# Before the files are laid down: the user and group that some of them belong to.
getent group patchcored >/dev/null || groupadd --system patchcored
getent passwd patchcored >/dev/null || useradd --system --gid patchcored --home-dir /var/lib/patchcored --no-create-home \
    --shell /sbin/nologin --comment "patchcored visual inspection" patchcored
exit 0
