//! The stream that `torch.save` wrote before torch 1.6, and writes still with `_use_new_zipfile_serialization=False`:
//! five pickles (magic number, protocol version, facts about the machine, the object, the storage keys), then for every
//! key the number of elements (8 bytes) and the elements.

use super::pickle::{MAX_PICKLE, Pickle};
use super::storages::{Storages, byte_length, read_elements};
use super::values::{Storage, Value};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use tch::Tensor;

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const PROTOCOL: i128 = 1001;

/// Reads as much of the file as the pickles can take.
pub(super) fn read_head(file: &File) -> Result<Vec<u8>, String> {
    let mut head = Vec::new();
    file.take(MAX_PICKLE).read_to_end(&mut head).map_err(|e| format!("reading it failed: {e}"))?;
    Ok(head)
}

/// The elements that follow the pickles: key → storage and where its elements start in the file.
pub(super) struct ElementBlocks {
    file: BufReader<File>,
    blocks: HashMap<String, u64>,
}

/// Reads the five pickles in `head` and finds the storages behind them in `file`.
pub(super) fn open(file: File, head: &[u8]) -> Result<(Pickle<'_>, ElementBlocks), String> {
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::read(&head[at..])?;
        at += pickle.length;
        Ok::<_, String>(pickle)
    };
    if next()?.int() != Some(MAGIC) || next()?.int() != Some(PROTOCOL) {
        return Err("it starts like a torch file but has another magic number; is it the right file?".into());
    }
    if next()?.entry("little_endian") != Some(Value::Bool(true)) {
        return Err("it was saved on a big-endian machine; save it again on a little-endian one".into());
    }
    let object = next()?;
    let keys = next()?.strings().ok_or("its list of storages is damaged; copy the file again")?;
    let blocks = find_blocks(&file, at as u64, &keys, &object)?;
    Ok((object, ElementBlocks { file: BufReader::with_capacity(1 << 20, file), blocks }))
}

fn find_blocks(mut file: &File, start: u64, keys: &[&str], object: &Pickle<'_>) -> Result<HashMap<String, u64>, String> {
    let known: HashMap<&str, &Storage<'_>> = object.storages().map(|s| (s.key, s)).collect();
    let end = file.metadata().map_err(|e| format!("reading it failed: {e}"))?.len();
    let mut at = start;
    let mut blocks = HashMap::new();
    for key in keys {
        let storage = known.get(key).ok_or("it lists a storage that no tensor has; copy or save the file again")?;
        let mut count = [0; 8];
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut count)).map_err(|_| cut_short())?;
        if u64::from_le_bytes(count) != storage.numel as u64 {
            return Err(format!(
                "its storage {key} has {} elements where {} are announced; copy or save the file again",
                u64::from_le_bytes(count),
                storage.numel
            ));
        }
        blocks.insert((*key).to_owned(), at + 8);
        at = (at + 8).checked_add(byte_length(storage)?).filter(|next| *next <= end).ok_or_else(cut_short)?;
    }
    Ok(blocks)
}

fn cut_short() -> String {
    "it ends before its last number; copy the file again".to_owned()
}

impl Storages for ElementBlocks {
    fn read(&mut self, storage: &Storage<'_>) -> Result<Tensor, String> {
        let at = *self.blocks.get(storage.key).ok_or("the elements of a storage are missing; copy or save the file again")?;
        self.file.seek(SeekFrom::Start(at)).map_err(|e| format!("reading it failed: {e}"))?;
        read_elements(&mut self.file, storage)
    }
}
