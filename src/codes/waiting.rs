//! Events about images, messages and commands that wait, and about images that kill the daemon.

use super::Entry;
use super::Level::{Error, Info, Warn};

pub(super) const NOT_WRITABLE: Entry = Entry {
    code: "not_writable",
    level: Error,
    means: "Outputs cannot be written beside the images (or to `outputs.dir`). Their images wait, since a part without its mask and overlay would not be documented.",
    look: "The reason of the image: whether the disk is mounted read-only (a disk with errors often is), who may write to the folder, and whether a folder stands where a file is to be written.",
    run: &["findmnt --target /srv/camera/line1/front", "ls -ld /srv/camera/line1/front"],
    act: "Mount it writable again, let the user of the service write there (the group of the folder, and `ReadWritePaths=` of the service), or remove what stands in the way. Images that waited are inspected then.",
};

pub(super) const NOT_WRITABLE_OVER: Entry = Entry {
    code: "not_writable_over",
    level: Info,
    means: "Outputs are written again, after `not_writable`.",
    look: "",
    run: &[],
    act: "",
};

pub(super) const WAITING: Entry = Entry {
    code: "waiting",
    level: Error,
    means: "Something has waited for a minute for what does not come by itself: an image for its bank's files, its share or a place for its outputs, a defect for its command, or a message for the MQTT broker. The event names the reason, how many wait, and the one that has waited longest.",
    look: "The reason in the event, which is a code of its own; `on_ng` and `mqtt` stand for commands and messages.",
    run: &["patchcored status", "patchcored history --pending"],
    act: "What the reason says. What waits goes on by itself then, and `waiting_over` says so.",
};

pub(super) const WAITING_OVER: Entry =
    Entry { code: "waiting_over", level: Info, means: "What waited goes on, after `waiting`.", look: "", run: &[], act: "" };

pub(super) const DAEMON_DIED: Entry = Entry {
    code: "daemon_died",
    level: Warn,
    means: "The daemon before this one did not stop but died while images were in hand: it was killed, ran out of memory, or a library crashed. Nothing is lost. The images that were in hand are tried one at a time, after the others, to find out whether one of them is the cause.",
    look: "How it ended, and whether the system was short of memory.",
    run: &["systemctl status patchcored", "journalctl -k --since -1h"],
    act: "Once, after a kill by hand: nothing. If it happens again, give the service more memory (`MemoryMax=`) or set the camera to smaller images.",
};

pub(super) const KILLS_THE_DAEMON: Entry = Entry {
    code: "kills_the_daemon",
    level: Error,
    means: "The daemon died at the last two attempts at this image, at which it had nothing else in hand, and the second time only after it had worked for 10 seconds without it. The image is not tried any more, so that the others go on.",
    look: "The image: its size, and whether it opens in a viewer. How the daemon ended: for want of memory, or by a crash.",
    run: &["patchcored history --reason kills_the_daemon --since 24h", "journalctl -u patchcored -k --since -1h"],
    act: "Look for the part: it was not inspected. Keep the image and report it. With more memory, or if the daemon was killed by something else both times, try it once more with `patchcored requeue`.",
};
