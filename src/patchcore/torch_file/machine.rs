//! The stack machine that runs a pickle. `pickle` says what it keeps to.

use super::values::{Global, Object, Storage, Value, View, fits};
use std::collections::HashMap;
use tch::Kind;

const BROKEN: &str = "its pickle is damaged; copy or save the file again";

/// torch itself allows 64.
const MAX_DIMENSIONS: usize = 64;

/// Runs the pickle at the start of `bytes`; gives its value, all objects and the bytes it took.
pub(super) fn run(bytes: &[u8]) -> Result<(Value<'_>, Vec<Object<'_>>, usize), String> {
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), objects: Vec::new() };
    let root = machine.run()?;
    Ok((root, machine.objects, machine.at))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Stack heights at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value<'a>, String> {
        loop {
            match self.byte()? {
                0x80 => match self.byte()? {
                    2 => {}
                    other => return Err(format!("it is pickled with protocol {other}; save it with torch.save and its default, 2")),
                },
                b'.' => return self.pop(),
                b'N' => self.stack.push(Value::None),
                0x88 => self.stack.push(Value::Bool(true)),
                0x89 => self.stack.push(Value::Bool(false)),
                b'K' => self.int(1, false)?,
                b'M' => self.int(2, false)?,
                b'J' => self.int(4, true)?,
                0x8a => {
                    let length = usize::from(self.byte()?);
                    self.int(length, true)?;
                }
                b'G' => {
                    self.take(8)?;
                    self.stack.push(Value::Float);
                }
                b'X' | b'T' => {
                    let length = self.u32()?;
                    self.string(length as usize)?;
                }
                b'U' => {
                    let length = self.byte()?;
                    self.string(usize::from(length))?;
                }
                b')' => self.push(Object::Tuple(Vec::new())),
                opcode @ 0x85..=0x87 => {
                    let count = usize::from(opcode - 0x84);
                    let items = self.pop_many(count)?;
                    self.push(Object::Tuple(items));
                }
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push(Object::Tuple(items));
                }
                b']' => self.push(Object::List(Vec::new())),
                b'}' => self.push(Object::Dict(Vec::new())),
                b'(' => self.marks.push(self.stack.len()),
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let items = self.pop_many(2)?;
                    self.set_items(&items)?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set_items(&items)?;
                }
                b'q' => {
                    let slot = u32::from(self.byte()?);
                    self.remember(slot)?;
                }
                b'r' => {
                    let slot = self.u32()?;
                    self.remember(slot)?;
                }
                b'h' => {
                    let slot = u32::from(self.byte()?);
                    self.recall(slot)?;
                }
                b'j' => {
                    let slot = self.u32()?;
                    self.recall(slot)?;
                }
                b'c' => self.global()?,
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                b'Q' => self.persistent()?,
                other => {
                    return Err(format!(
                        "its pickle has the opcode 0x{other:02x}, which torch.save does not write for tensors; save the state dict alone"
                    ));
                }
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(length).ok_or(BROKEN)?;
        let taken = self.bytes.get(self.at..end).ok_or("it ends in the middle of its pickle; copy or save the file again")?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, String> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Little-endian two's complement of up to 16 bytes.
    fn int(&mut self, length: usize, signed: bool) -> Result<(), String> {
        let bytes = self.take(length)?;
        let negative = signed && bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide.get_mut(..length).ok_or(BROKEN)?.copy_from_slice(bytes);
        self.stack.push(Value::Int(i128::from_le_bytes(wide)));
        Ok(())
    }

    fn string(&mut self, length: usize) -> Result<(), String> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| BROKEN)?;
        self.stack.push(Value::Str(text));
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n').ok_or(BROKEN)?;
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| BROKEN.to_owned())
    }

    fn push(&mut self, object: Object<'a>) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Value<'a>, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() > floor { self.stack.pop().ok_or_else(|| BROKEN.to_owned()) } else { Err(BROKEN.into()) }
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'a>>, String> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, String> {
        let height = self.marks.pop().ok_or(BROKEN)?;
        Ok(self.stack.split_off(height))
    }

    fn top(&mut self) -> Result<&mut Object<'a>, String> {
        match self.stack.last() {
            Some(Value::Object(i)) => self.objects.get_mut(*i).ok_or_else(|| BROKEN.to_owned()),
            _ => Err(BROKEN.into()),
        }
    }

    fn append(&mut self, items: Vec<Value<'a>>) -> Result<(), String> {
        let Object::List(list) = self.top()? else { return Err(BROKEN.into()) };
        list.extend(items);
        Ok(())
    }

    fn set_items(&mut self, items: &[Value<'a>]) -> Result<(), String> {
        let Object::Dict(dict) = self.top()? else { return Err(BROKEN.into()) };
        let (pairs, rest) = items.as_chunks::<2>();
        dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
        if rest.is_empty() { Ok(()) } else { Err(BROKEN.into()) }
    }

    fn remember(&mut self, slot: u32) -> Result<(), String> {
        let value = *self.stack.last().ok_or(BROKEN)?;
        self.memo.insert(slot, value);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), String> {
        let value = *self.memo.get(&slot).ok_or(BROKEN)?;
        self.stack.push(value);
        Ok(())
    }

    fn global(&mut self) -> Result<(), String> {
        let (module, name) = (self.line()?, self.line()?);
        let global = match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", "Size") => Global::Size,
            ("torch", storage) => Global::Storage(storage_kind(storage).ok_or_else(|| unknown(module, name))?),
            _ => return Err(unknown(module, name)),
        };
        self.stack.push(Value::Global(global));
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        // The longest call that torch writes has seven arguments.
        let arguments: Vec<_> = self.tuple(arguments)?.iter().copied().take(8).collect();
        let made = match (callee, arguments.as_slice()) {
            (Value::Global(Global::OrderedDict), []) => Object::Dict(Vec::new()),
            (Value::Global(Global::Size), [sizes]) => {
                self.tuple(*sizes)?;
                self.stack.push(*sizes);
                return Ok(());
            }
            (Value::Global(Global::RebuildTensor), [storage, offset, size, stride, ..]) => {
                Object::Tensor(self.view(*storage, *offset, *size, *stride)?)
            }
            (Value::Global(Global::RebuildParameter), [tensor @ Value::Object(i), ..])
                if matches!(self.objects.get(*i), Some(Object::Tensor(_))) =>
            {
                self.stack.push(*tensor);
                return Ok(());
            }
            _ => return Err(BROKEN.into()),
        };
        self.push(made);
        Ok(())
    }

    /// A state dict carries module versions as attributes; they say nothing about its tensors.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        if let Object::Dict(_) = self.top()? { Ok(()) } else { Err(BROKEN.into()) }
    }

    /// `("storage", torch.FloatStorage, key, device, numel)`; the legacy stream adds a sixth, for views of old files.
    fn persistent(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let storage = match *self.tuple(id)? {
            [Value::Str("storage"), Value::Global(Global::Storage(kind)), Value::Str(key), Value::Str(_), Value::Int(numel)]
            | [
                Value::Str("storage"),
                Value::Global(Global::Storage(kind)),
                Value::Str(key),
                Value::Str(_),
                Value::Int(numel),
                Value::None,
            ] => Storage { key, kind, numel: usize::try_from(numel).map_err(|_| BROKEN)? },
            _ => {
                return Err(
                    "it refers to a storage in a way that torch 1.0 and later do not write; save it again with a newer torch".into()
                );
            }
        };
        self.push(Object::Storage(storage));
        Ok(())
    }

    fn tuple(&self, value: Value<'a>) -> Result<&[Value<'a>], String> {
        match value {
            Value::Object(i) => match self.objects.get(i) {
                Some(Object::Tuple(items)) => Ok(items),
                _ => Err(BROKEN.into()),
            },
            _ => Err(BROKEN.into()),
        }
    }

    fn ints(&self, value: Value<'a>) -> Result<Vec<i64>, String> {
        let items = self.tuple(value)?;
        if items.len() > MAX_DIMENSIONS { Err(BROKEN.into()) } else { items.iter().map(|v| int(*v)).collect() }
    }

    fn view(&self, storage: Value<'a>, offset: Value<'a>, size: Value<'a>, stride: Value<'a>) -> Result<View<'a>, String> {
        let Value::Object(i) = storage else { return Err(BROKEN.into()) };
        let Some(Object::Storage(storage)) = self.objects.get(i) else { return Err(BROKEN.into()) };
        let view = View { storage: *storage, offset: int(offset)?, size: self.ints(size)?, stride: self.ints(stride)? };
        if fits(&view) {
            Ok(view)
        } else {
            Err(format!(
                "a tensor of shape {:?} reaches outside its {} stored elements, or repeats them; save a contiguous copy",
                view.size, storage.numel
            ))
        }
    }
}

fn int(value: Value<'_>) -> Result<i64, String> {
    match value {
        Value::Int(n) => i64::try_from(n).map_err(|_| BROKEN.to_owned()),
        _ => Err(BROKEN.into()),
    }
}

fn storage_kind(name: &str) -> Option<Kind> {
    Some(match name {
        "FloatStorage" => Kind::Float,
        "HalfStorage" => Kind::Half,
        "BFloat16Storage" => Kind::BFloat16,
        "DoubleStorage" => Kind::Double,
        "LongStorage" => Kind::Int64,
        "IntStorage" => Kind::Int,
        "ShortStorage" => Kind::Int16,
        "CharStorage" => Kind::Int8,
        "ByteStorage" => Kind::Uint8,
        "BoolStorage" => Kind::Bool,
        _ => return None,
    })
}

fn unknown(module: &str, name: &str) -> String {
    let shown: String = format!("{module}.{name}").escape_debug().take(120).collect();
    format!(
        "its pickle names `{shown}`, which is no part of a file of tensors; nothing was run. Use a state dict saved with torch.save(model.state_dict(), path)"
    )
}
