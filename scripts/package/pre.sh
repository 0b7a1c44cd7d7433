# Before the files are laid down: the user and the groups that some of them belong to, as sysusers.d has them.
for group in patchcored patchcored-camera patchcored-engineer patchcored-read; do
    getent group "$group" >/dev/null || groupadd --system "$group"
done
getent passwd patchcored >/dev/null || useradd --system --gid patchcored --home-dir /var/lib/patchcored --no-create-home \
    --shell /sbin/nologin --comment "patchcored visual inspection" patchcored
usermod --append --groups patchcored-camera,patchcored-engineer,patchcored-read patchcored
exit 0
