//! What a pickle in a torch file may hold.

use tch::Kind;

/// A value on the stack; composite ones are an index into the objects of the pickle.
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
}
