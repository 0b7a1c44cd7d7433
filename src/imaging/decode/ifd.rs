//! The first directory of fields of a TIFF. Exif data has the same form.

use super::fault::Fault;
use super::header::take;

/// A directory of fields: tag → numbers. It copies nothing out of the file.
pub(super) struct Ifd<'a> {
    bytes: &'a [u8],
    pub(super) big_endian: bool,
    /// True in a BigTIFF, whose counts and offsets have 8 bytes.
    wide: bool,
    /// The entries in sequence.
    entries: &'a [u8],
    /// Where they end.
    end: u64,
}

/// Unsigned numbers of one field.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    bytes: &'a [u8],
    /// Bytes per number.
    size: usize,
    big_endian: bool,
}

impl<'a> Ifd<'a> {
    /// The first directory of a file or an Exif block, which both start with the byte order.
    pub(super) fn first(bytes: &'a [u8]) -> Result<Self, Fault> {
        let (big_endian, wide) = match take::<4>(bytes, 0)? {
            [b'I', b'I', 42, 0] => (false, false),
            [b'M', b'M', 0, 42] => (true, false),
            [b'I', b'I', 43, 0] => (false, true),
            [b'M', b'M', 0, 43] => (true, true),
            _ => return Err(Fault::unsupported("has fields in no known byte order; save it as a plain TIFF")),
        };
        let mut ifd = Ifd { bytes, big_endian, wide, entries: &[], end: 0 };
        let at = ifd.unsigned(if wide { 8 } else { 4 }, ifd.word())?;
        if at == 0 {
            return Err(Fault::Incomplete("its directory has not been written yet".into()));
        }
        let head = if wide { 8 } else { 2 };
        let count = ifd.unsigned(usize::try_from(at).unwrap_or(usize::MAX), head)?;
        let length = count.saturating_mul(ifd.entry() as u64);
        let start = at.saturating_add(head as u64);
        ifd.entries = ifd.slice(start, length)?;
        ifd.end = start + length;
        Ok(ifd)
    }

    /// Refuses a directory without the offset of the next one at its end. Exif data may lack it, a whole TIFF does not.
    pub(super) fn check_end(&self) -> Result<(), Fault> {
        self.slice(self.end, self.word() as u64).map(drop)
    }

    /// The field `tag`; `None` when there is none.
    ///
    /// Reads signed numbers as unsigned: none of these fields can be below zero.
    pub(super) fn find(&self, tag: u16) -> Result<Option<Values<'a>>, Fault> {
        let Some(entry) = self.entries.chunks_exact(self.entry()).find(|entry| self.number(&entry[..2]) == u64::from(tag)) else {
            return Ok(None);
        };
        let kind = self.number(&entry[2..4]);
        let size = match kind {
            1 | 6 => 1,
            3 | 8 => 2,
            4 | 9 | 13 => 4,
            16..=18 => 8,
            _ => {
                return Err(Fault::unsupported(format!(
                    "has a field {tag} of type {kind}, which is no whole number; save it as a plain TIFF"
                )));
            }
        };
        let (count, place) = entry[4..].split_at(self.word());
        let length = self.number(count).saturating_mul(size as u64);
        let bytes = if length <= place.len() as u64 { &place[..length as usize] } else { self.slice(self.number(place), length)? };
        Ok(Some(Values { bytes, size, big_endian: self.big_endian }))
    }

    /// The first number of the field `tag`.
    pub(super) fn number_of(&self, tag: u16) -> Result<Option<u64>, Fault> {
        Ok(self.find(tag)?.and_then(|values| values.get(0)))
    }

    fn word(&self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    fn entry(&self) -> usize {
        4 + 2 * self.word()
    }

    fn unsigned(&self, at: usize, size: usize) -> Result<u64, Fault> {
        Ok(self.number(self.slice(at as u64, size as u64)?))
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        number(bytes, self.big_endian)
    }

    fn slice(&self, at: u64, length: u64) -> Result<&'a [u8], Fault> {
        let range = usize::try_from(at).ok().zip(at.checked_add(length).and_then(|end| usize::try_from(end).ok()));
        range
            .and_then(|(at, end)| self.bytes.get(at..end))
            .ok_or_else(|| Fault::Incomplete(format!("ends after {} bytes, before its fields", self.bytes.len())))
    }
}

impl Values<'_> {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    pub(super) fn get(&self, index: usize) -> Option<u64> {
        self.bytes.chunks_exact(self.size).nth(index).map(|bytes| number(bytes, self.big_endian))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.bytes.chunks_exact(self.size).map(|bytes| number(bytes, self.big_endian))
    }
}

fn number(bytes: &[u8], big_endian: bool) -> u64 {
    let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
    if big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}
