//! Whether a mount or an unmount concerns a drop folder.
//!
//! An ssh log-in or a container mounts a file system too. Such mounts elsewhere must not touch the watches, because a close is lost while
//! there are no watches. So the daemon compares only the mounts at, above and below the folder.
//!
//! When somebody unmounts a file system and mounts it again between two looks, the table has the same line as before, even the same number,
//! but every watch on it is gone. The kernel reports this to those who watch the folder; the [`Alarm`] does.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use std::ffi::OsString;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The mounts of this process that concern one folder. Without `/proc` they never change.
#[derive(Debug)]
pub struct MountTable {
    file: Option<File>,
    around: Vec<Mount>,
    alarm: Option<Alarm>,
}

/// One mount. Its options are left out: they may change while the watches stay.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    at: PathBuf,
    /// Number, device, and folder of that device.
    what: String,
}

impl MountTable {
    pub fn open() -> Self {
        Self { file: File::open("/proc/self/mountinfo").ok(), around: Vec::new(), alarm: None }
    }

    /// From now on, changes that concern `root` count. Call it before setting watches.
    pub fn look_at(&mut self, root: &Path) {
        self.alarm = None;
        self.around = around(root);
    }

    /// Call it after the watches are set: when few watches are left, the folders need them first.
    pub fn set_alarm(&mut self, root: &Path) {
        if !self.may_be_unmounted() {
            return;
        }
        let below = self.around.iter().map(|mount| mount.at.as_path()).filter(|at| at.starts_with(root));
        self.alarm = Alarm::set(std::iter::once(root).chain(below));
    }

    /// True when something was mounted or unmounted on `root`, above it or below it since the last call. Reads no file system except
    /// `/proc` and the folders on the way to `root`.
    pub fn concerns(&mut self, root: &Path) -> bool {
        if !self.changed() {
            return false;
        }
        // Without an alarm, nobody notices a short unmount.
        self.alarm.as_ref().map_or_else(|| self.may_be_unmounted(), Alarm::rang) || around(root) != self.around
    }

    /// True when the folder, or one below it, is on another file system than `/`, which stays mounted.
    fn may_be_unmounted(&self) -> bool {
        self.around.iter().any(|mount| mount.at != Path::new("/"))
    }

    fn changed(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let mut asked = [PollFd::new(file, PollFlags::PRI)];
        poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|_| asked[0].revents().contains(PollFlags::PRI))
    }
}

/// The mounts at, above and below `root`, which may be a link.
fn around(root: &Path) -> Vec<Mount> {
    let target = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let concerns = |at: &Path| [root, &target].into_iter().any(|root| root.starts_with(at) || at.starts_with(root));
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    table.split(|byte| *byte == b'\n').filter_map(parse).filter(|mount| concerns(&mount.at)).collect()
}

/// `36 35 98:0 /root /mount\040point rw,noatime …`
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (number, _above, device, folder, at) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let what = [number, device, folder].map(String::from_utf8_lossy).join(" ");
    Some(Mount { at: OsString::from_vec(unescape(at)).into(), what })
}

/// The table writes spaces, tabs, line feeds and backslashes as `\040` and so on.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let octal =
            after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal.filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

/// Rings when the file system of one of these folders was unmounted.
#[derive(Debug)]
struct Alarm(OwnedFd);

impl Alarm {
    /// `None` when the system refuses, for example because no instances are left.
    fn set<'a>(folders: impl Iterator<Item = &'a Path>) -> Option<Self> {
        let alarm = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        for folder in folders {
            // Other code notices when the folder itself is removed or moved. The kernel always reports an unmount, whatever the mask.
            inotify::add_watch(&alarm, folder, WatchFlags::DELETE_SELF).ok()?;
        }
        Some(Self(alarm))
    }

    fn rang(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.0, &mut buffer);
        while let Ok(event) = events.next() {
            if event.events().intersects(ReadFlags::UNMOUNT | ReadFlags::QUEUE_OVERFLOW) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_known_by_its_place_number_device_and_folder_alone() {
        let line = br"36 35 98:0 /mnt1 /srv/new\040camera\134x rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let mount = parse(line).unwrap();
        assert_eq!(mount, Mount { at: r"/srv/new camera\x".into(), what: "36 98:0 /mnt1".into() });
        assert_eq!(parse(b""), None);
        assert_eq!(unescape(br"a\04"), br"a\04");
    }

    #[test]
    fn only_what_is_at_above_or_below_the_folder_concerns_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let found = around(&root);
        assert!(found.iter().any(|mount| mount.at == Path::new("/")), "{found:?}");
        assert!(found.iter().all(|mount| root.starts_with(&mount.at)), "{found:?}");
        std::os::unix::fs::symlink(&root, root.join("link")).unwrap();
        assert_eq!(around(&root.join("link")), found, "a link leads to the same folder");
    }
}
