//! Calls that tch has not: one of the two files with `unsafe` code, with `platform/allocator.rs`.
#![allow(unsafe_code)]

use super::shape::Activation;
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

/// A convolution and what follows it; `weight` as `fused::pack` gives it.
pub(super) struct Fused<'a> {
    pub weight: &'a Tensor,
    pub bias: &'a Tensor,
    /// Zeros above and below, and left and right.
    pub padding: [i64; 2],
    pub stride: i64,
    pub groups: i64,
    pub activation: Activation,
}

impl Fused<'_> {
    /// `activation(convolution(input) + bias)`; `input` and the result are channels-last.
    pub(super) fn convolve(&self, input: &Tensor) -> Result<Tensor, TchError> {
        convolve(self, input, None)
    }

    /// `activation(convolution(input) + bias + other)`, written over `other`. Knows no [`Activation::Relu6`].
    pub(super) fn convolve_onto(&self, input: &Tensor, other: Tensor) -> Result<Tensor, TchError> {
        convolve(self, input, Some(other))
    }
}

/// `activation(convolution(input) + bias)`; with `other`, that plus `other`, written over it.
///
/// # Errors
/// What libtorch says: an operator that it has not, tensors that do not fit, or want of memory.
fn convolve(fused: &Fused, input: &Tensor, mut other: Option<Tensor>) -> Result<Tensor, TchError> {
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
