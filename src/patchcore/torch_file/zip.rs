//! The zip format of `torch.save` (torch 1.6 and later): `NAME/data.pkl`, `NAME/byteorder` and one `NAME/data/KEY` per storage,
//! in one top folder of any name. torch stores the members as they are; archives packed again with deflate are read too.

use super::pickle::MAX_PICKLE;
use super::storages::{Storages, byte_length, read_elements};
use super::values::Storage;
use ::zip::read::ZipFile;
use ::zip::result::ZipError;
use ::zip::{CompressionMethod, ZipArchive};
use std::fs::File;
use std::io::{BufReader, Read};
use tch::Tensor;

/// Deflate cannot shrink data more than this: a member that claims it did is a trap.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// An opened archive.
pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    top: String,
    /// Bytes of the file.
    length: u64,
}

impl Archive {
    pub(super) fn open(file: File) -> Result<Self, String> {
        let length = file.metadata().map_err(|e| format!("reading it failed: {e}"))?.len();
        let zip = ZipArchive::new(BufReader::with_capacity(1 << 20, file)).map_err(broken)?;
        let mut tops = zip.file_names().filter_map(|name| name.strip_suffix("data.pkl")).filter(|top| top.ends_with('/') || top.is_empty());
        let top =
            tops.next().ok_or("it is a zip archive without data.pkl, so not written by torch.save; is it the right file?")?.to_owned();
        drop(tops);
        let mut archive = Archive { zip, top, length };
        // Written since torch 2.1; before that only little-endian machines were supported.
        if let Some(order) = archive.small_member("byteorder", 16)?
            && order != b"little"
        {
            return Err("it was saved on a big-endian machine; save it again on a little-endian one".into());
        }
        Ok(archive)
    }

    /// The bytes of `data.pkl`.
    pub(super) fn pickle(&mut self) -> Result<Vec<u8>, String> {
        self.small_member("data.pkl", MAX_PICKLE)?.ok_or_else(|| "data.pkl is gone".to_owned())
    }

    fn small_member(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, String> {
        let Some(member) = self.member(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        member
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| format!("its member {name} cannot be read: {e}; copy the file again"))?;
        if bytes.len() as u64 > limit {
            return Err(format!(
                "its member {name} is longer than {limit} bytes; save the state dict alone: torch.save(model.state_dict(), path)"
            ));
        }
        Ok(Some(bytes))
    }

    fn member(&mut self, name: &str) -> Result<Option<ZipFile<'_, BufReader<File>>>, String> {
        let member = match self.zip.by_name(&format!("{}{name}", self.top)) {
            Ok(member) => member,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(e) => return Err(broken(e)),
        };
        let there = member.compressed_size().min(self.length);
        let most = match member.compression() {
            CompressionMethod::Stored => there,
            _ => there.saturating_mul(MAX_DEFLATE_RATIO),
        };
        if member.size() > most {
            return Err(format!("its member {name} claims more bytes than are there; copy the file again"));
        }
        Ok(Some(member))
    }
}

impl Storages for Archive {
    fn read(&mut self, storage: &Storage<'_>) -> Result<Tensor, String> {
        let name = format!("data/{}", storage.key);
        let want = byte_length(storage)?;
        let mut member = self.member(&name)?.ok_or_else(|| format!("its member {name} is missing; copy or save the file again"))?;
        if member.size() != want {
            return Err(format!("its member {name} has {} bytes where {want} are announced; copy or save the file again", member.size()));
        }
        let tensor = read_elements(&mut member, storage)?;
        // The checksum is compared when the end is read.
        match member.read(&mut [0]) {
            Ok(0) => Ok(tensor),
            Ok(_) => Err(format!("its member {name} is longer than announced; copy or save the file again")),
            Err(e) => Err(format!("its member {name} is damaged: {e}; copy the file again")),
        }
    }
}

fn broken(error: ZipError) -> String {
    format!("its zip archive is damaged or not whole: {error}; copy or save the file again")
}
