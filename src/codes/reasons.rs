//! Why an image fails or waits: the column `reason_code` of the table `inspections`. The column `reason` says it in words.

use super::Level::{Error, Info, Warn};
use super::{Entry, EventKind, codes};

codes! {
    /// Why an image has no decision. The list is closed, so people can count by it.
    ReasonCode {
        // It waits.
        NoBank => Entry {
            code: "no_bank",
            level: Info,
            means: "The product has no bank yet. The image waits and is decided when there is one.",
            look: "Whether there are enough OK images, and whether a build failed.",
            run: &["patchcored status --product prod1-front", "ls /srv/banks/prod1-front/ok | wc -l"],
            act: "Put at least `min_images` OK images into the ok folder. The bank is built when the folder has been quiet for `quiet_period`.",
        },
        NotClosed => Entry {
            code: "not_closed",
            level: Warn,
            means: "The program that writes the image has it open still, or its marker is older than it, so that it is that of an earlier picture. It is looked at again until it is closed or marked, and fails `intake.give_up_after` its last change.",
            look: "Whether the camera software keeps its files open.",
            run: &["patchcored history --reason not_closed --since 24h"],
            act: "It is tried again by itself when it is closed, even after it failed. A camera that never closes its files needs `ready: rename`, a marker or `ready: {quiet: 2s}`.",
        },
        Changing => Entry {
            code: "changing",
            level: Info,
            means: "The image was written to again while it was being inspected; that attempt does not count, and it is inspected anew in a moment.",
            look: "Only if it stays: what writes to the image.",
            run: &["patchcored history --pending"],
            act: "",
        },
        ShareTrouble => Entry {
            code: "share_trouble",
            level: Warn,
            means: "The image cannot be read because the share or the disk of its drop folder fails or is not mounted. It waits, however long that takes.",
            look: "What is mounted on the drop folder.",
            run: &["findmnt --target /srv/camera/line1/front", "patchcored history --reason share_trouble --limit 5"],
            act: "Mount the share or the disk again. The images are inspected then.",
        },
        FolderStuck => *EventKind::FolderStuck.entry(),
        DiskFull => *EventKind::DiskFull.entry(),
        NotWritable => *EventKind::NotWritable.entry(),
        BankUnusable => *EventKind::BankUnusable.entry(),

        // It waits, and fails when that takes too long.
        Incomplete => Entry {
            code: "incomplete",
            level: Error,
            means: "The image is cut, has holes or is damaged: it may still be on its way. It is tried again, and fails `intake.give_up_after` its arrival. A half image is never decided. Holes are no fault where data follow after them and the writer was seen to close the file.",
            look: "The size of the file, and whether it opens in a viewer.",
            run: &["patchcored history --reason incomplete --since 24h"],
            act: "Have it sent again, or try it once more with `patchcored requeue`, which says of a file with holes that it is whole. When it happens often, look at the network and the disk of the camera, and at `ready:` of the drop folder.",
        },
        FileGone => Entry {
            code: "file_gone",
            level: Error,
            means: "The image was removed, moved or renamed before it could be inspected.",
            look: "What else works in the drop folder: an archiving script, or a person.",
            run: &["patchcored history --reason file_gone --since 24h"],
            act: "Let other programs move images only after they were decided. Put the file back and try it again with `patchcored requeue`.",
        },
        Unreadable => Entry {
            code: "unreadable",
            level: Error,
            means: "The image cannot be read, most often because the user of the service may not.",
            look: "Who owns the file, and who may read it.",
            run: &["patchcored history --reason unreadable --since 24h", "ls -l /srv/camera/line1/front"],
            act: "Put the camera software and patchcored into one group and let new files be readable by it (the umask of the FTP or Samba server). Then try the images again with `patchcored requeue`.",
        },

        // It fails.
        KillsTheDaemon => *EventKind::KillsTheDaemon.entry(),
        NotAFile => Entry {
            code: "not_a_file",
            level: Error,
            means: "What lies there under an image's name is a link, a pipe or a device, and not a file.",
            look: "The drop folder.",
            run: &["ls -l /srv/camera/line1/front"],
            act: "Drop the file itself: a link could lead anywhere.",
        },
        NotAnImage => Entry {
            code: "not_an_image",
            level: Error,
            means: "The file has an image's name, but its content is no JPEG, PNG, BMP or TIFF.",
            look: "The first bytes, which the reason shows.",
            run: &["patchcored history --reason not_an_image --since 24h"],
            act: "Have the camera save one of these formats, or narrow `match:` of the drop folder, so that the file is left alone.",
        },
        UnsupportedFormat => Entry {
            code: "unsupported_format",
            level: Error,
            means: "The image is whole, but of a kind that is not read: a lossless or CMYK JPEG, a run-length encoded BMP, samples of an odd type, an odd compression, or a header that contradicts itself. The page image-files.md lists them all.",
            look: "The reason, which says what it is.",
            run: &["patchcored history --reason unsupported_format --since 24h"],
            act: "Set the camera to 8- or 16-bit gray or RGB, as PNG, uncompressed TIFF or BMP, or baseline JPEG.",
        },
        DecoderPanicked => Entry {
            code: "decoder_panicked",
            level: Error,
            means: "Reading the image made the program that decodes it panic. That is a bug; it ended this image alone.",
            look: "The line of the log with `panicked`, which names the place in the source.",
            run: &["patchcored history --reason decoder_panicked --since 24h", "journalctl -u patchcored --since -1h"],
            act: "Report it with the file. Until it is mended, have the camera save another format.",
        },
        WrongSize => Entry {
            code: "wrong_size",
            level: Error,
            means: "The image has another width or height than `input:` of the product asks for, so it is not the view that the bank knows.",
            look: "The reason, which has both numbers.",
            run: &["patchcored history --reason wrong_size --since 24h"],
            act: "Correct the camera (region of interest, binning), or `input.width` and `input.height`, reload, and try the images again with `patchcored requeue`.",
        },
        WrongChannels => Entry {
            code: "wrong_channels",
            level: Error,
            means: "The image is gray where `input.channels` of the product asks for colour, or the other way round.",
            look: "The reason, which has both numbers.",
            run: &["patchcored history --reason wrong_channels --since 24h"],
            act: "Correct the camera, or `input.channels`, reload, and try the images again with `patchcored requeue`.",
        },
        WrongDepth => Entry {
            code: "wrong_depth",
            level: Error,
            means: "The bits per sample do not fit `input.bit_depth`, or a 16-bit file comes without one: nothing else tells a 12-bit camera from a 16-bit one, and a wrong guess would make every image near black.",
            look: "The reason, which has the numbers.",
            run: &["patchcored history --reason wrong_depth --since 24h"],
            act: "Set `input.bit_depth` to what the camera delivers (12 for a 12-bit camera), reload, and try the images again with `patchcored requeue`.",
        },
        TooLarge => Entry {
            code: "too_large",
            level: Error,
            means: "The image has more pixels than `intake.max_megapixels` allows, or takes more memory to be read than an image of that size may: 12 bytes a pixel, its file included.",
            look: "The reason, which has the numbers.",
            run: &["patchcored history --reason too_large --since 24h"],
            act: "If the camera really takes such images, raise `intake.max_megapixels`, reload, and try them again with `patchcored requeue`. Less memory is needed without alpha, without interlacing and with 8 bits per sample.",
        },
        TooElongated => Entry {
            code: "too_elongated",
            level: Error,
            means: "The image is a strip, far longer than it is wide, and would be enlarged beyond measure.",
            look: "The reason, which has the numbers.",
            run: &["patchcored history --reason too_elongated --since 24h"],
            act: "Have the camera or its software cut the strip into images.",
        },
        Unrouted => Entry {
            code: "unrouted",
            level: Error,
            means: "No product takes images of this name in this folder.",
            look: "The name, against `match:` and `regex:` of the products that share the folder.",
            run: &["patchcored history --reason unrouted --since 24h"],
            act: "Correct the name at the camera or the pattern in the configuration, reload, and try the images again with `patchcored requeue --failed`: they are routed anew. Files that are nobody's business belong elsewhere.",
        },
        NameTooLong => Entry {
            code: "name_too_long",
            level: Error,
            means: "The name or the path of the image is so long that no mask or overlay could be written beside it: a file name has 255 bytes at most, a path 4095.",
            look: "The name, and how deep its folder lies.",
            run: &["patchcored history --reason name_too_long --since 24h"],
            act: "Have the camera give shorter names and use fewer or shorter folders, or shorten `outputs.dir`.",
        },
        Duplicate => Entry {
            code: "duplicate",
            level: Info,
            means: "The same file has a row already, which the reason names: it came under two names at once, or the camera wrote something else under its name and put the old file back. Nothing is missing.",
            look: "The reason, which names the other row.",
            run: &["patchcored history --reason duplicate --since 24h"],
            act: "",
        },
        Other => Entry {
            code: "other",
            level: Error,
            means: "The row is from a version of patchcored before there were codes, and its reason is a sentence that is not known any more. It is not written for new images.",
            look: "The reason.",
            run: &["patchcored history --reason other --limit 5"],
            act: "What the reason says.",
        },
        Engine => Entry {
            code: "engine",
            level: Error,
            means: "The network or a library failed, most often for want of memory. Of an image it says nothing about the part, which is not passed.",
            look: "The reason, the log lines around it, and the memory of the machine.",
            run: &["patchcored history --reason engine --since 24h", "free -h"],
            act: "Lower `engine.bank_cache` or free memory, and try the images again with `patchcored requeue`. When it is always the same image, keep it and report it.",
        },
    }
}

impl ReasonCode {
    /// True when an image waits no longer than `intake.give_up_after`, or waits for a bank: nobody needs a report.
    pub fn ends_by_itself(self) -> bool {
        matches!(self, Self::NoBank | Self::NotClosed | Self::Incomplete | Self::FileGone | Self::Unreadable)
    }
}

/// Why an image fails or waits, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The code.
    pub code: ReasonCode,
    /// The sentence for people.
    pub text: String,
}

impl Reason {
    /// With a sentence.
    pub fn new(code: ReasonCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// For codes that need no further words, the code is the text too.
impl From<ReasonCode> for Reason {
    fn from(code: ReasonCode) -> Self {
        Self::new(code, code.as_str())
    }
}
