//! Events of the daemon: the column `kind` of the table `events`, and the field `kind` of its log lines.

use super::Level::{Error, Info, Warn};
use super::{Entry, bank_events, codes, waiting};
use crate::domain::{BankTrouble, FolderTrouble, WriteTrouble};

codes! {
    /// A kind of event.
    EventKind {
        // The daemon.
        Start => Entry {
            code: "start",
            level: Info,
            means: "The line was started, or started anew by a reload. What was said of its folders before no longer holds.",
            look: "Starts that nobody asked for mean that the daemon ended by itself: its last log lines say why.",
            run: &[],
            act: "",
        },
        Reload => Entry {
            code: "reload",
            level: Info,
            means: "The configuration was read again and is in use.",
            look: "",
            run: &[],
            act: "",
        },
        ReloadRefused => Entry {
            code: "reload_refused",
            level: Error,
            means: "The configuration was to be read again and has mistakes. The one from before stays in use, and the line goes on.",
            look: "The event lists every mistake with its line, its column and its key; so does the check.",
            run: &["sudo -u patchcored patchcored check"],
            act: "Correct the file, check it, and reload again.",
        },
        Requeue => Entry {
            code: "requeue",
            level: Info,
            means: "Somebody had failed images tried again with `patchcored requeue`.",
            look: "",
            run: &[],
            act: "",
        },
        // Drop folders.
        Overflow => Entry {
            code: "overflow",
            level: Warn,
            means: "So many files changed at once that the system dropped some of its reports. No image is lost: the folder is scanned in full, and what the reports left out is found.",
            look: "How often it happens, and whether something other than the camera writes many files there.",
            run: &[],
            act: "Seldom: nothing. Often: raise `fs.inotify.max_queued_events` with a file in /etc/sysctl.d.",
        },
        NotWatched => Entry {
            code: "not_watched",
            level: Warn,
            means: "The system refuses to report new files in a drop folder, or in a part of it. No image is lost: they are found by scans, every `intake.rescan`, and so a little later.",
            look: "The reason in the event: most often the limit `fs.inotify.max_user_watches`, used up by many sub-folders.",
            run: &["patchcored status --product prod1-front"],
            act: "Raise the limit with a file in /etc/sysctl.d, or have old sub-folders removed; then reload.",
        },
        Watched => Entry {
            code: "watched",
            level: Info,
            means: "All of a drop folder is watched again, after `not_watched`.",
            look: "",
            run: &[],
            act: "",
        },
        DropFolderLost => Entry {
            code: "drop_folder_lost",
            level: Error,
            means: "A drop folder is gone, cannot be read, or another folder or disk stands in its place. Its new images are not seen until it is back; other folders go on.",
            look: "Whether the folder is there, and what is mounted on it.",
            run: &["patchcored status --product prod1-front", "ls -ld /srv/camera/line1/front", "findmnt --target /srv/camera/line1/front"],
            act: "Mount the share or the disk again, or make the folder. It is looked at every 2 seconds and scanned in full when it is back: images written meanwhile are inspected then. A folder that has moved for good belongs into the configuration.",
        },
        DropFolderBack => Entry {
            code: "drop_folder_back",
            level: Info,
            means: "A drop folder is back, after `drop_folder_lost`, and was scanned in full.",
            look: "",
            run: &[],
            act: "",
        },
        DropFolderStuck => Entry {
            code: "drop_folder_stuck",
            level: Error,
            means: "A drop folder has not answered for 10 seconds: the share or the disk under it hangs. Its new images wait; other folders go on.",
            look: "Whether the file server can be reached, and what the kernel says (`dmesg`).",
            run: &["findmnt --target /srv/camera/line1/front"],
            act: "Bring the file server or the disk back. The daemon goes on by itself and needs no restart.",
        },
        DropFolderStuckOver => Entry {
            code: "drop_folder_stuck_over",
            level: Info,
            means: "A drop folder answers again, after `drop_folder_stuck`.",
            look: "",
            run: &[],
            act: "",
        },
        // Any folder.
        FolderStuck => Entry {
            code: "folder_stuck",
            level: Error,
            means: "A folder has not answered for 10 seconds while an image was read, an output was written, or OK images were listed: the share or the disk under it hangs. Images that need it wait; all others go on.",
            look: "Which folder it is, and what it lies on.",
            run: &["patchcored status", "findmnt --target /srv/camera/line1/front"],
            act: "Bring the file server or the disk back. Images that waited are inspected then, without a restart.",
        },
        FolderStuckOver => Entry {
            code: "folder_stuck_over",
            level: Info,
            means: "A folder answers again, after `folder_stuck`.",
            look: "",
            run: &[],
            act: "",
        },
        DatabaseReplaced => super::database::REPLACED,
        DiskFull => Entry {
            code: "disk_full",
            level: Error,
            means: "The disk of the database, or the one that outputs are written to, is full. What was recorded is safe. With a full database disk intake and inspecting pause; with a full output disk the images of that folder wait.",
            look: "Which disk it is, and what fills it.",
            run: &["patchcored status", "df -h /var/lib/patchcored /srv/camera/line1/front"],
            act: "Make room: move old images, masks and overlays away. Do not touch the database or the files beside it. The daemon goes on by itself within seconds, and nothing that arrived is left out.",
        },
        DiskFullOver => Entry {
            code: "disk_full_over",
            level: Info,
            means: "There is space again, after `disk_full`.",
            look: "",
            run: &[],
            act: "",
        },
        NotWritable => waiting::NOT_WRITABLE,
        NotWritableOver => waiting::NOT_WRITABLE_OVER,
        Waiting => waiting::WAITING,
        WaitingOver => waiting::WAITING_OVER,
        // Images and cameras.
        DaemonDied => waiting::DAEMON_DIED,
        KillsTheDaemon => waiting::KILLS_THE_DAEMON,
        GaveUp => Entry {
            code: "gave_up",
            level: Warn,
            means: "An image was still not whole `intake.give_up_after` its arrival, and has failed.",
            look: "The reason in its row. One now and then: a transfer that was cut. Many: `ready:` of the drop folder does not fit the way in which the camera writes.",
            run: &["patchcored history --failed --since 24h"],
            act: "Have the camera send the image again, or try it once more with `patchcored requeue`. Where a camera writes for longer than that, raise `intake.give_up_after`, or use `ready: rename` or a marker.",
        },
        ImageBlack => Entry {
            code: "image_black",
            level: Warn,
            means: "An image is darker than `health.black`. It was inspected as any other; the warning comes once for each run of dark images.",
            look: "The image itself.",
            run: &["patchcored history --product prod1-front --limit 5"],
            act: "Check the lamp, the lens cap, the trigger and the cables.",
        },
        ImageSaturated => Entry {
            code: "image_saturated",
            level: Warn,
            means: "A larger part of an image than `health.saturated` is at full scale. It was inspected as any other; the warning comes once for each run of such images.",
            look: "The image itself.",
            run: &["patchcored history --product prod1-front --limit 5"],
            act: "Check exposure time, lamp and stray light.",
        },
        CameraFrozen => Entry {
            code: "camera_frozen",
            level: Warn,
            means: "The camera delivered the very same picture `health.frozen` times in a row: it shows an old part, and what is inspected is not what passes.",
            look: "The last images.",
            run: &["patchcored history --product prod1-front --limit 5"],
            act: "Restart the camera or its grabbing software, and check the parts that passed since then.",
        },
        // Banks.
        OkFolderLost => bank_events::OK_FOLDER_LOST,
        OkImagesLeftOut => bank_events::OK_IMAGES_LEFT_OUT,
        OkImagesStandOut => bank_events::OK_IMAGES_STAND_OUT,
        OkImagesAlike => bank_events::OK_IMAGES_ALIKE,
        BankCompared => bank_events::BANK_COMPARED,
        BankSelfTested => bank_events::BANK_SELF_TESTED,
        OkImagesTooFew => bank_events::OK_IMAGES_TOO_FEW,
        BuildFailed => bank_events::BUILD_FAILED,
        BankUnusable => bank_events::BANK_UNUSABLE,
        BankUnusableOver => bank_events::BANK_UNUSABLE_OVER,
        BankChanged => bank_events::BANK_CHANGED,
        BankChangedOver => bank_events::BANK_CHANGED_OVER,
        BankEdited => bank_events::BANK_EDITED,
        VersionsNotRemoved => bank_events::VERSIONS_NOT_REMOVED,
        RebuildRequested => bank_events::REBUILD_REQUESTED,
        Rollback => bank_events::ROLLBACK,
        RollbackFailed => bank_events::ROLLBACK_FAILED,

        // The line as a whole.
        Profile => Entry {
            code: "profile",
            level: Info,
            means: "The line was changed over to another profile. The products that the event calls off get no new images until they are on again; what was recorded for them before is still decided.",
            look: "Which profile is in use (`patchcored profile`), and which products are on.",
            run: &["patchcored status"],
            act: "",
        },
        WorkerStuck => Entry {
            code: "worker_stuck",
            level: Error,
            means: "A part of the daemon has had work for longer than it can take and makes no progress. It stops feeding the watchdog of systemd, which then ends the daemon and starts it again. No image is lost: those in hand are inspected after the start.",
            look: "The part that the event names: the engine most often waits for a disk or a share with a bank, the database for a program that keeps a transaction open or for a failing disk.",
            run: &["journalctl -u patchcored --since -10min"],
            act: "If it comes again: check the disk that is named, end the program that holds the database, and keep the log lines from before for whoever looks into it.",
        },
        WorkerStuckOver => Entry {
            code: "worker_stuck_over",
            level: Info,
            means: "The part of the daemon that made no progress works again, before the watchdog ended the daemon.",
            look: "",
            run: &[],
            act: "",
        },

        // Monitoring.
        MetricsUnavailable => Entry {
            code: "metrics_unavailable",
            level: Warn,
            means: "The address under `metrics:` cannot be opened. The line runs on without monitoring, and the address is tried again by itself.",
            look: "The reason in the event: another program listens there, or the folder of the socket is missing.",
            run: &["sudo -u patchcored patchcored check"],
            act: "End the other program, or name another address in the configuration and reload.",
        },
        MetricsAvailable => Entry {
            code: "metrics_available",
            level: Info,
            means: "The address under `metrics:` can be asked again.",
            look: "",
            run: &[],
            act: "",
        },

        // Clock, old files.
        ClockJumped => super::clock::JUMPED,
        ClockWrong => super::clock::WRONG,
        Retention => Entry {
            code: "retention",
            level: Info,
            means: "Old files were deleted as `retention:` says. Their rows stay and tell when.",
            look: "What goes next.",
            run: &["patchcored retention --dry-run"],
            act: "",
        },
        RowsMoved => Entry {
            code: "rows_moved",
            level: Info,
            means: "Rows older than `retention.rows` were moved out of the history, into one SQLite file for each month beside it.",
            look: "Which files there are.",
            run: &["ls -l /var/lib/patchcored"],
            act: "",
        },
        RowsNotMoved => Entry {
            code: "rows_not_moved",
            level: Warn,
            means: "Old rows cannot be moved out of the history. None is lost: they stay where they are, and it is tried again in an hour.",
            look: "The reason in the event.",
            run: &["ls -l /var/lib/patchcored", "df -h /var/lib/patchcored"],
            act: "Make room, close the program that uses the file, or rename a file that is no archive.",
        },
        RetentionRefused => Entry {
            code: "retention_refused",
            level: Warn,
            means: "Old files of a folder cannot be deleted. They stay and are tried again.",
            look: "The reason in the event, and who owns the folder.",
            run: &["ls -ld /srv/camera/line1/front"],
            act: "Give the service's user write access to the folder, or take the keys for its files out of `retention:`.",
        },
        RetentionShort => Entry {
            code: "retention_short",
            level: Error,
            means: "A disk has less free space than `retention.min_free` asks for, and nothing more may be deleted to get it.",
            look: "What fills the disk, and what `retention.when_full` allows.",
            run: &["patchcored retention --dry-run", "df -h /srv/camera"],
            act: "Free space by hand, or allow more in `retention.when_full`, or shorten `retention.keep_at_least`; then reload.",
        },
        RetentionShortOver => Entry {
            code: "retention_short_over",
            level: Info,
            means: "The disk has the free space that `retention.min_free` asks for again.",
            look: "",
            run: &[],
            act: "",
        },

        // Acting on defects.
        OnNgFailed => Entry {
            code: "on_ng_failed",
            level: Error,
            means: "The command of `on_ng` could not be started, ended with an error, or took longer than `on_ng.timeout` and was killed. The decision stays ng, but the part may still be on the line.",
            look: "The end of what the command wrote, in the event and in the view `action_history`.",
            run: &["sqlite3 -readonly -header -column /var/lib/patchcored/history.db 'SELECT * FROM action_history LIMIT 5'"],
            act: "Have somebody look for the part. Then correct the program or its rights; the sandbox of the service holds for it, too.",
        },
        OnNgExpired => Entry {
            code: "on_ng_expired",
            level: Error,
            means: "Commands of `on_ng` were not run, because their images were older than `on_ng.max_age`: the parts have left the station.",
            look: "Whether the commands take too long, or the line was stopped or had a backlog.",
            run: &["sqlite3 -readonly -header -column /var/lib/patchcored/history.db 'SELECT * FROM action_history LIMIT 5'"],
            act: "Have somebody look for the parts. A quicker command, `on_ng.concurrent` or a longer `on_ng.max_age` helps if it comes again.",
        },
        OnNgInterrupted => Entry {
            code: "on_ng_interrupted",
            level: Error,
            means: "The daemon ended while a command of `on_ng` ran. Whether it did its work is not known; it is not run again, because it could reject another part.",
            look: "Which part it was, and what the command may have done: the event names the image.",
            run: &["sqlite3 -readonly -header -column /var/lib/patchcored/history.db 'SELECT * FROM action_history LIMIT 5'"],
            act: "Have somebody look for the part.",
        },
        OnNgCancelled => Entry {
            code: "on_ng_cancelled",
            level: Warn,
            means: "Commands of `on_ng` that waited were not run, because `on_ng` or the product was taken out of the configuration.",
            look: "Which parts they were.",
            run: &["sqlite3 -readonly -header -column /var/lib/patchcored/history.db 'SELECT * FROM action_history LIMIT 5'"],
            act: "Have somebody look for the parts that the event names.",
        },
        MqttLost => Entry {
            code: "mqtt_lost",
            level: Warn,
            means: "The MQTT broker cannot be reached. The line goes on; messages wait in the database and are sent in their order when it is back.",
            look: "Whether the broker runs and the network is up.",
            run: &["patchcored status"],
            act: "Nothing, if it comes back by itself. Else have the broker or the network looked at.",
        },
        MqttRefused => Entry {
            code: "mqtt_refused",
            level: Error,
            means: "The MQTT broker cannot be used as the configuration says: user name or password, certificate or password file are wrong. Messages wait in the database.",
            look: "The reason in the event.",
            run: &["sudo -u patchcored patchcored check"],
            act: "Correct the keys under `mqtt:` or the file that the event names, and reload.",
        },
        MqttBack => Entry {
            code: "mqtt_back",
            level: Info,
            means: "The MQTT broker is connected again, and what waited is being sent.",
            look: "",
            run: &[],
            act: "",
        },
        MqttDropped => Entry {
            code: "mqtt_dropped",
            level: Error,
            means: "More messages waited for the MQTT broker than `mqtt.keep` allows. The oldest were dropped and are never sent; their inspections are in the database as always.",
            look: "How long the broker has been away.",
            run: &["patchcored status"],
            act: "Bring the broker back. For longer absences raise `mqtt.keep`.",
        },
        MqttCleared => Entry {
            code: "mqtt_cleared",
            level: Warn,
            means: "Messages that waited were not sent, because `mqtt` was taken out of the configuration.",
            look: "",
            run: &[],
            act: "",
        },
    }
}

impl EventKind {
    /// Its level.
    pub const fn level(self) -> super::Level {
        self.entry().level
    }

    /// The kinds that begin and end a trouble of a bank.
    pub const fn of_bank_trouble(trouble: BankTrouble) -> (Self, Self) {
        match trouble {
            BankTrouble::Changed => (Self::BankChanged, Self::BankChangedOver),
            BankTrouble::Unusable => (Self::BankUnusable, Self::BankUnusableOver),
        }
    }

    /// The kinds that begin and end a folder's refusal of writes.
    pub const fn of_write_trouble(trouble: WriteTrouble) -> (Self, Self) {
        match trouble {
            WriteTrouble::DiskFull => (Self::DiskFull, Self::DiskFullOver),
            WriteTrouble::NotWritable => (Self::NotWritable, Self::NotWritableOver),
        }
    }

    /// The kinds that begin and end a trouble of a drop folder.
    pub const fn of_folder_trouble(trouble: FolderTrouble) -> (Self, Self) {
        match trouble {
            FolderTrouble::Lost => (Self::DropFolderLost, Self::DropFolderBack),
            FolderTrouble::NotWatched => (Self::NotWatched, Self::Watched),
            FolderTrouble::NoAnswer => (Self::DropFolderStuck, Self::DropFolderStuckOver),
        }
    }
}
