//! The pickles inside torch files, read as data by a small stack machine. Nothing is ever imported or called.
//!
//! Only the opcodes and globals that `torch.save` writes for tensors and state dicts (pickle protocol 2) are known.
//! All objects live in one arena and are named by index, so a pickle can neither nest too deeply nor make a cycle
//! that never ends, and memory stays in proportion to the bytes read.

use super::machine;
use super::values::{Object, Storage, Value, View};

/// The largest pickle accepted; that of a network with a thousand tensors takes 0.2 MB.
pub(super) const MAX_PICKLE: u64 = 16 << 20;

/// A pickle that has been read to its end.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    root: Value<'a>,
    objects: Vec<Object<'a>>,
    /// Bytes it took.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads one pickle from the start of `bytes`; what follows it is left alone.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let (root, objects, length) = machine::run(bytes)?;
        Ok(Pickle { root, objects, length })
    }

    /// The integer that the pickle is.
    pub(super) fn int(&self) -> Option<i128> {
        if let Value::Int(n) = self.root { Some(n) } else { None }
    }

    /// The list of strings that the pickle is.
    pub(super) fn strings(&self) -> Option<Vec<&'a str>> {
        let Object::List(items) = self.object(self.root)? else { return None };
        items.iter().map(|v| if let Value::Str(s) = v { Some(*s) } else { None }).collect()
    }

    /// The entry `key` of the dictionary that the pickle is.
    pub(super) fn entry(&self, key: &str) -> Option<Value<'a>> {
        find(self.dict(self.root)?, key)
    }

    /// The tensor that the pickle is.
    pub(super) fn tensor(&self) -> Option<&View<'a>> {
        if let Some(Object::Tensor(view)) = self.object(self.root) { Some(view) } else { None }
    }

    /// The tensors of a state dict, or of the one under the key `state_dict`, in file order.
    pub(super) fn state_dict(&self) -> Result<Vec<(&'a str, &View<'a>)>, String> {
        let outer = self.dict(self.root).ok_or("it holds no dictionary of tensors; save it with torch.save(model.state_dict(), path)")?;
        let entries = find(outer, "state_dict").and_then(|inner| self.dict(inner)).unwrap_or(outer);
        let mut tensors = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            match (key, self.object(*value)) {
                (Value::Str(name), Some(Object::Tensor(view))) => tensors.push((*name, view)),
                (Value::Str(name), _) => {
                    return Err(format!("entry `{name}` is no tensor; save the state dict alone: torch.save(model.state_dict(), path)"));
                }
                _ => return Err("a key of its dictionary is no string; save it with torch.save(model.state_dict(), path)".into()),
            }
        }
        Ok(tensors)
    }

    /// Every storage that it refers to.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.objects.iter().filter_map(|o| if let Object::Storage(storage) = o { Some(storage) } else { None })
    }

    fn object(&self, value: Value<'a>) -> Option<&Object<'a>> {
        if let Value::Object(i) = value { self.objects.get(i) } else { None }
    }

    fn dict(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        if let Some(Object::Dict(entries)) = self.object(value) { Some(entries) } else { None }
    }
}

fn find<'a>(entries: &[(Value<'a>, Value<'a>)], key: &str) -> Option<Value<'a>> {
    entries.iter().find(|(k, _)| matches!(k, Value::Str(s) if *s == key)).map(|(_, v)| *v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_pickles_end_in_an_error() {
        let long = [&b"\x80\x02"[..], &[b'('; 100_000], &[b't'; 100_000], b"."].concat();
        // Deep nesting is no danger, as nothing here recurses; it is just no dictionary.
        assert!(Pickle::read(&long).unwrap().state_dict().is_err());
        for bad in [
            &b""[..],
            b"\x80\x02",
            b"\x80\x02.",
            b"\x80\x04N.",
            b"\x80\x02(.",
            b"\x80\x02N(\x85.",
            b"\x80\x02X\xff\xff\xff\xffabc.",
            b"\x80\x02h\x07.",
            b"\x80\x02NR.",
            b"\x80\x02}(Nu.",
            b"\x80\x02NQ.",
            b"\x80\x02\x8a\x11aaaaaaaaaaaaaaaaa.",
            b"\x80\x02cos\nsystem\n.",
            b"\x80\x02ccollections\nOrderedDict\n",
        ] {
            assert!(Pickle::read(bad).is_err(), "{}", bad.escape_ascii());
        }
        // A dictionary that holds itself.
        let cycle = Pickle::read(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.").unwrap();
        assert!(cycle.state_dict().unwrap_err().contains("`a`"));
    }
}
