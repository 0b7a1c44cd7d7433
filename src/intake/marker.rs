//! Marker files: `X.jpg` is complete when `X.jpg.done` is beside it and is not older.
//!
//! A camera that always writes the same name leaves the marker of the last image there while it writes the next one. So a marker that is
//! older than its image says nothing about it.
//!
//! The daemon compares the later of the marker's two times (written, changed) with the earlier of the image's. The file system itself sets
//! the time of the change, so the comparison holds when one file has its written time from another clock. A marker that was copied with its
//! old time counts, and so does a marker beside an image whose time an uploader set afterwards. Equal times count. Times that a coarse file
//! system makes equal count too: if the marker's time is a whole second, the image's is cut to its second; if it is an even second (FAT
//! stores two seconds), to two seconds.

use crate::domain::Readiness;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const SECOND: i128 = 1_000_000_000;

/// True when the marker that this file needs is beside it and is not older.
pub fn is_marked(path: &Path, readiness: &Readiness) -> bool {
    standing(path, readiness).is_some_and(|[image, marker]| counts(times(&image), times(&marker)))
}

/// True when a marker is beside the file and is older: it belongs to an earlier image. False without a marker, because its owner may have
/// removed it once the image was complete.
pub fn has_stale_marker(path: &Path, readiness: &Readiness) -> bool {
    standing(path, readiness).is_some_and(|[image, marker]| !counts(times(&image), times(&marker)))
}

fn standing(path: &Path, readiness: &Readiness) -> Option<[Metadata; 2]> {
    let Readiness::Marker(suffix) = readiness else { return None };
    let mut marker = path.as_os_str().to_owned();
    marker.push(suffix);
    // The marker first: if the image is written in between, it counts as newer.
    let marker = std::fs::symlink_metadata(PathBuf::from(marker)).ok().filter(Metadata::is_file)?;
    Some([std::fs::symlink_metadata(path).ok()?, marker])
}

/// The times "written" and "changed", ns since 1970.
fn times(meta: &Metadata) -> [i128; 2] {
    let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * SECOND + i128::from(nanoseconds);
    [time(meta.mtime(), meta.mtime_nsec()), time(meta.ctime(), meta.ctime_nsec())]
}

fn counts(image: [i128; 2], marker: [i128; 2]) -> bool {
    let (image, marker) = (image[0].min(image[1]), marker[0].max(marker[1]));
    let grain = [2 * SECOND, SECOND, 1].into_iter().find(|grain| marker % grain == 0).unwrap_or(1);
    marker >= image - image.rem_euclid(grain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_counts_unless_it_is_older_by_either_clock() {
        let at = |tenths: i128| tenths * SECOND / 10;
        let same = |tenths| [at(tenths); 2];
        assert!(counts(same(1003), same(1004)) && counts(same(1003), same(1003)));
        assert!(!counts(same(1005), same(1004)), "the next picture is being written");
        assert!(counts([at(3), at(1005)], same(1004)), "its time was set back afterwards");
        assert!(counts(same(1003), [at(3), at(1004)]), "the marker was copied with its old time");
        assert!(counts([at(9000), at(1003)], same(1004)), "the camera's clock is ahead");
        // Whole seconds, and FAT's two seconds.
        assert!(counts(same(1017), same(1010)) && !counts(same(1020), same(1010)));
        assert!(counts(same(1017), same(1000)) && !counts(same(1020), same(1000)));
    }

    #[test]
    fn a_missing_marker_is_not_a_stale_one() {
        let folder = tempfile::tempdir().unwrap();
        let (image, marker) = (folder.path().join("a.jpg"), folder.path().join("a.jpg.done"));
        let readiness = Readiness::Marker(".done".into());
        let state = || (is_marked(&image, &readiness), has_stale_marker(&image, &readiness));
        std::fs::write(&image, "x").unwrap();
        assert_eq!(state(), (false, false));
        std::fs::write(&marker, "").unwrap();
        assert_eq!(state(), (true, false));
        assert!(!is_marked(&image, &Readiness::CloseWrite) && !has_stale_marker(&image, &Readiness::CloseWrite));
        // Coarse clocks tick some milliseconds apart.
        while state() == (true, false) {
            std::fs::write(&image, "y").unwrap();
        }
        assert_eq!(state(), (false, true));
    }
}
