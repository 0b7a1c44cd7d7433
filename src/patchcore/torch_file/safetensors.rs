//! `.safetensors`: a JSON header and the elements behind it.

use super::storages::{int, torch};
use ::safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use tch::{Kind, Tensor};

/// Reads every tensor of the file.
pub(super) fn read(mut file: File) -> Result<BTreeMap<String, Tensor>, String> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|e| format!("reading it failed: {e}"))?;
    let parsed = SafeTensors::deserialize(&bytes).map_err(|e| format!("it is no whole safetensors file: {e}; copy it again"))?;
    parsed
        .iter()
        .map(|(name, view)| {
            let kind = kind(view.dtype())
                .ok_or_else(|| format!("tensor `{name}` has the number format {:?}; save it as float32", view.dtype()))?;
            let size = view.shape().iter().map(|n| int(*n)).collect::<Result<Vec<_>, _>>()?;
            let tensor = Tensor::f_from_data_size(view.data(), &size, kind).map_err(torch)?;
            Ok((name.to_owned(), tensor))
        })
        .collect()
}

fn kind(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F64 => Kind::Double,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}
