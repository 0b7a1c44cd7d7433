//! The kinds of events of banks and ok folders.

use super::Entry;
use super::Level::{Error, Info, Warn};

pub const OK_FOLDER_LOST: Entry = Entry {
    code: "ok_folder_lost",
    level: Error,
    means: "The ok folder of a product is gone or cannot be listed. The bank in use stays, and the line goes on; there are no new banks meanwhile.",
    look: "Whether the folder is there, and what is mounted on it.",
    run: &["ls -ld /srv/banks/prod1-front/ok", "findmnt --target /srv/banks/prod1-front/ok"],
    act: "Mount it again or make it. It is looked at again by itself.",
};
pub const OK_IMAGES_LEFT_OUT: Entry = Entry {
    code: "ok_images_left_out",
    level: Warn,
    means: "A bank was built, but not from all files of the ok folder: some could not be read as images of this product.",
    look: "The event names the first of them, each with its reason.",
    run: &["ls -l /srv/banks/prod1-front/ok"],
    act: "Replace or remove these files. The bank is built again when the folder has changed.",
};
pub const OK_IMAGES_STAND_OUT: Entry = Entry {
    code: "ok_images_stand_out",
    level: Warn,
    means: "A bank was built, and some of its OK images are unlike the others: another part, a stain, a bad exposure, or a rare good look. The threshold does not follow them, but parts that look like them now pass.",
    look: "The images that the event names.",
    run: &["ls -l /srv/banks/prod1-front/ok"],
    act: "Is one of them no good part: remove it. Is it a rare good look: add more images of that look.",
};
pub const OK_IMAGES_ALIKE: Entry = Entry {
    code: "ok_images_alike",
    level: Info,
    means: "A bank was built, and some of its OK images are near-copies of each other, as frames of one part are. Each group counts as one piece of evidence.",
    look: "The images that the event names.",
    run: &["ls -l /srv/banks/prod1-front/ok"],
    act: "Add images of other parts. If they do show different parts, set `build: {groups: none}`.",
};
pub const BANK_COMPARED: Entry = Entry {
    code: "bank_compared",
    level: Info,
    means: "A new bank was built, and before it was used it judged up to 200 recent images of the product again. The event says how many decisions it changes, each way. The decisions in the history stay.",
    look: "Many changes: look at the newest files of the ok folder. One unusual file, such as a rejected part that was copied there, can raise the threshold so far that most defects pass.",
    run: &["ls -lt /srv/banks/prod1-front/ok | head", "patchcored status --product prod1-front"],
    act: "When defects became ok that must not: take the unusual files out of the ok folder, or go back with `patchcored rollback prod1-front`.",
};
pub const BANK_SELF_TESTED: Entry = Entry {
    code: "bank_self_tested",
    level: Info,
    means: "A new bank is in use, and synthetic defects were planted into its OK images. The event says, for each kind, how small a defect the bank finds. A bank of fewer than 20 OK images is not tested.",
    look: "Whether it finds defects of the size that matters on this line.",
    run: &["patchcored status --product prod1-front"],
    act: "If it does not, compare settings with `patchcored selftest`, as docs/tuning.md says.",
};
pub const OK_IMAGES_TOO_FEW: Entry = Entry {
    code: "ok_images_too_few",
    level: Info,
    means: "The product has no bank yet, and its ok folder has fewer images than `min_images`. Images of the product wait. The first bank is built by itself when there are enough.",
    look: "How many there are and how many are needed: the event says both.",
    run: &["patchcored status --product prod1-front", "ls /srv/banks/prod1-front/ok | wc -l"],
    act: "Put images of good parts into the ok folder.",
};
pub const BUILD_FAILED: Entry = Entry {
    code: "build_failed",
    level: Error,
    means: "No new bank was built: it was refused by a guard, or the build failed. The bank in use stays. The same files are not tried again by themselves, unless the event says so: a build process that was killed or could not be started, a bank folder that cannot be written.",
    look: "The reason in the event. `refused`: too few OK images, or over half of them gone. Killed by signal 9: most often too little memory. Symbolic links: see `no_symbolic_links`.",
    run: &["patchcored status --product prod1-front", "ls /srv/banks/prod1-front/ok | wc -l"],
    act: "Put OK images into the folder or put them back; for want of memory lower `reservoir_max` or raise `stride`. After that it is built by itself, or at once with `patchcored rebuild prod1-front`.",
};
pub const BANK_UNUSABLE: Entry = Entry {
    code: "bank_unusable",
    level: Error,
    means: "The bank in use cannot be loaded: its files are damaged, changed or gone, or the weights of its network are; or it cannot be told now which bank is in use. Images of the product wait; none is passed, and no bank is built in its place. It is tried again by itself.",
    look: "The reason, which names the file.",
    run: &["patchcored status --product prod1-front", "ls -lL /srv/banks/prod1-front/current", "sudo -u patchcored patchcored check"],
    act: "Mount the share, or put the file back. When it is gone for good, go back to an earlier version with `patchcored rollback prod1-front`, or build a new one with `patchcored rebuild prod1-front`. Where weights are missing, put the file back.",
};
pub const BANK_UNUSABLE_OVER: Entry = Entry {
    code: "bank_unusable_over",
    level: Info,
    means: "The bank in use can be loaded again, after `bank_unusable`. Images that waited for it are inspected.",
    look: "",
    run: &[],
    act: "",
};
pub const BANK_CHANGED: Entry = Entry {
    code: "bank_changed",
    level: Error,
    means: "Files of the bank in use are not those that were recorded when it came into use: somebody changed, replaced or removed them, the disk is damaged, or they cannot be read. A `tau.json` is told of here when its thresholds cannot be right. What is in memory goes on judging with the recorded thresholds, and nothing is loaded from the changed files: a bank that is not in memory is `bank_unusable`.",
    look: "The event names the files.",
    run: &["patchcored status --product prod1-front", "ls -lL /srv/banks/prod1-front/current", "findmnt --target /srv/banks/prod1-front"],
    act: "Put the files back from a copy, or mount the share again: it is noticed by itself. Or go back to an earlier version with `patchcored rollback prod1-front`, or build a new one with `patchcored rebuild prod1-front`.",
};
pub const BANK_CHANGED_OVER: Entry = Entry {
    code: "bank_changed_over",
    level: Info,
    means: "The files of the bank in use are the recorded ones again, after `bank_changed`.",
    look: "",
    run: &[],
    act: "",
};
pub const BANK_EDITED: Entry = Entry {
    code: "bank_edited",
    level: Warn,
    means: "Somebody edited `tau.json` of the bank in use. The new thresholds judge from here on, and have a row of their own in the table `banks`, with the trigger `edited`: each inspection names the thresholds that judged it.",
    look: "The event has the old and the new values.",
    run: &["patchcored status --product prod1-front"],
    act: "Nothing, when it was meant. Else write the old values back into `tau.json`, or build a new bank with `patchcored rebuild prod1-front`.",
};
pub const VERSIONS_NOT_REMOVED: Entry = Entry {
    code: "versions_not_removed",
    level: Warn,
    means: "A new bank was built and is in use, but old versions could not be removed after that. They stay and take up space.",
    look: "The reason in the event, and who owns the folders of the versions.",
    run: &["ls -la /srv/banks/prod1-front/versions"],
    act: "Give the service's user write access to them, or remove them by hand, but not the one that `current` leads to. The next build tries again.",
};
pub const REBUILD_REQUESTED: Entry = Entry {
    code: "rebuild_requested",
    level: Info,
    means: "Somebody had the bank of a product rebuilt with `patchcored rebuild`.",
    look: "",
    run: &[],
    act: "",
};
pub const ROLLBACK: Entry = Entry {
    code: "rollback",
    level: Info,
    means: "Somebody put an earlier bank version back in use with `patchcored rollback`. The bank that was left is `rolled_back` in the table `banks`. There is no new bank until the ok folder changes or somebody asks for one.",
    look: "Which bank is in use now.",
    run: &["patchcored status --product prod1-front"],
    act: "Find out what was wrong with the bank that was left, most often parts in the ok folder that are not good ones. Take them out: that builds a new bank.",
};
pub const ROLLBACK_FAILED: Entry = Entry {
    code: "rollback_failed",
    level: Error,
    means: "An earlier bank version was to be put back in use, and could not be. The bank in use stays.",
    look: "The reason in the event: most often files of that version are damaged or gone.",
    run: &["ls /srv/banks/prod1-front/versions"],
    act: "Name another version, as `patchcored rollback prod1-front 4`, or build a new one with `patchcored rebuild prod1-front`.",
};
