//! System folders in shares and disks: they hold no image of a part.

use std::ffi::OsStr;

/// Names of folders that file servers and operating systems make for thumbnails, deleted files and snapshots. Upper and lower case count
/// as the same, since Windows and most shares treat them so. Names that begin with a dot need no entry.
pub const SYSTEM_FOLDERS: [&str; 23] = [
    // Synology, QNAP, Buffalo, NetApp: thumbnails, deleted files, snapshots.
    "@eaDir",
    "@tmp",
    "@Recycle",
    "@Recently-Snapshot",
    "@__thumb",
    "#recycle",
    "#snapshot",
    "~snapshot",
    "trashbox",
    // Windows.
    "$RECYCLE.BIN",
    "RECYCLER",
    "RECYCLED",
    "Recycle Bin",
    "System Volume Information",
    "$WinREAgent",
    "$Extend",
    // Files that a repair of the disk restored: Linux, Android.
    "lost+found",
    "LOST.DIR",
    // macOS, in shares and in archives made there.
    "__MACOSX",
    "Network Trash Folder",
    "Temporary Items",
    "TheFindByContentFolder",
    "TheVolumeSettingsFolder",
];

/// True for a folder below a drop folder that the daemon never enters, and for a file that it never reads: the name begins with a dot, or
/// is one of [`SYSTEM_FOLDERS`] (a name that no image has).
pub fn is_left_out(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || SYSTEM_FOLDERS.iter().any(|folder| name.eq_ignore_ascii_case(folder.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_names_and_folders_of_the_system_are_left_out_and_no_image_is() {
        for name in [".snapshot", ".Trash-1000", "._a.jpg", "@eadir", "#RECYCLE", "$Recycle.Bin", "system volume information", "lost+found"]
        {
            assert!(is_left_out(OsStr::new(name)), "{name}");
        }
        for name in ["eaDir", "recycle", "lost", "a.jpg", "@eaDir.jpg", "#1.png", "snapshot"] {
            assert!(!is_left_out(OsStr::new(name)), "{name}");
        }
        assert!(SYSTEM_FOLDERS.iter().all(|name| !crate::domain::has_image_extension(std::path::Path::new(name))));
    }
}
