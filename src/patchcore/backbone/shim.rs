//! Calls that tch has not: one of the two files with `unsafe` code, with `platform/allocator.rs`.
#![allow(unsafe_code)]

use super::fused::Fused;
use std::ffi::{CStr, c_char};
use tch::{TchError, Tensor};
use torch_sys::C_tensor;

unsafe extern "C" {
    /// In `shim.cpp`, which says what it takes and gives.
    fn patchcored_convolve(
        input: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        other: *mut C_tensor,
        padding: *const i64,
        stride: i64,
        groups: i64,
        activation: i32,
        error: *mut c_char,
        capacity: usize,
    ) -> *mut C_tensor;
}

/// `activation(convolution(input) + bias)`; with `other`, that plus `other`, written over it.
///
/// # Errors
/// What libtorch says: an operator that it has not, tensors that do not fit, or want of memory.
pub(super) fn convolve(fused: &Fused, input: &Tensor, mut other: Option<Tensor>) -> Result<Tensor, TchError> {
    let mut error: [c_char; 1024] = [0; 1024];
    // SAFETY: the tensors live until the end of this function, and libtorch checks their kinds, devices and sizes. Tensors that
    // share memory are what tch makes too; none of them is used by another thread meanwhile, since tch's tensors are not `Sync`.
    // `padding` points to two values, `error` to as many bytes as it says. C++ keeps none of the pointers, lets no exception
    // out, and ends its message with a zero. What it gives is null, or a handle that is nobody else's.
    unsafe {
        let made = patchcored_convolve(
            input.as_ptr(),
            fused.weight.as_ptr(),
            fused.bias.as_ptr(),
            other.as_mut().map_or(std::ptr::null_mut(), Tensor::as_mut_ptr),
            fused.padding.as_ptr(),
            fused.stride,
            fused.groups,
            fused.activation as i32,
            error.as_mut_ptr(),
            error.len(),
        );
        if made.is_null() {
            return Err(TchError::Torch(CStr::from_ptr(error.as_ptr()).to_string_lossy().into_owned()));
        }
        Ok(Tensor::from_ptr(made))
    }
}
