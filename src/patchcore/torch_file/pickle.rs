//! The pickles inside torch files, read as data by a small stack machine. Nothing is ever imported or called.
//!
//! Only the opcodes and globals that `torch.save` writes for tensors and state dicts (pickle protocol 2) are known.
//! All objects live in one arena and are named by index, so a pickle can neither nest too deeply nor make a cycle
//! that never ends, and memory stays in proportion to the bytes read.

use super::machine;
use tch::Kind;

/// A value on the stack; composite ones are an index into [`Pickle::objects`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i128),
    Float,
    Str(&'a str),
    Global(Global),
    Object(usize),
}

/// What a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    Storage(Kind),
}

/// A composite value.
#[derive(Debug)]
pub(super) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(View<'a>),
}

/// A flat block of `numel` elements, stored elsewhere in the file under `key`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Storage<'a> {
    pub key: &'a str,
    pub kind: Kind,
    pub numel: usize,
}

/// A tensor as a strided view of a storage; proven to lie within it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View<'a> {
    pub storage: Storage<'a>,
    pub offset: i64,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
}

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

/// True when every element lies in the storage, and there are no more elements than stored ones.
pub(super) fn fits(view: &View<'_>) -> bool {
    let Ok(numel) = i64::try_from(view.storage.numel) else { return false };
    let sane = view.size.len() == view.stride.len() && view.size.iter().chain(&view.stride).all(|n| *n >= 0);
    if !sane || view.offset < 0 {
        return false;
    }
    if view.size.contains(&0) {
        return view.offset <= numel;
    }
    let count = view.size.iter().try_fold(1_i64, |product, n| product.checked_mul(*n));
    let last = view.size.iter().zip(&view.stride).try_fold(view.offset, |at, (n, step)| at.checked_add((n - 1).checked_mul(*step)?));
    count.is_some_and(|count| count <= numel) && last.is_some_and(|last| last < numel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_must_lie_within_its_storage() {
        let view = |offset, size: &[i64], stride: &[i64]| View {
            storage: Storage { key: "0", kind: Kind::Float, numel: 12 },
            offset,
            size: size.to_vec(),
            stride: stride.to_vec(),
        };
        for good in [
            view(0, &[3, 4], &[4, 1]),
            view(11, &[], &[]),
            view(1, &[3, 2], &[4, 2]),
            view(12, &[0, 9], &[1, 1]),
            view(0, &[4, 3], &[1, 4]),
        ] {
            assert!(fits(&good), "{good:?}");
        }
        for bad in [
            view(1, &[3, 4], &[4, 1]),
            view(12, &[], &[]),
            view(-1, &[2], &[1]),
            view(0, &[3], &[-1]),
            view(0, &[-3], &[1]),
            view(0, &[13], &[0]),
            view(0, &[2], &[1, 1]),
            view(13, &[0], &[1]),
            view(i64::MAX, &[2], &[1]),
            view(0, &[2], &[i64::MAX]),
            view(0, &[i64::MAX, 4], &[0, 0]),
        ] {
            assert!(!fits(&bad), "{bad:?}");
        }
    }

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
