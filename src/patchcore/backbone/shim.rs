//! Calls that tch has not: one of the two files with `unsafe` code, with `platform/allocator.rs`.
#![allow(unsafe_code)]

use super::scale::Scale;
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
    /// The same.
    fn patchcored_pack_int8(
        weight: *const C_tensor,
        steps: *const C_tensor,
        input_step: f64,
        input_zero: i64,
        padding: *const i64,
        stride: i64,
        groups: i64,
        input_size: *const i64,
        error: *mut c_char,
        capacity: usize,
    ) -> *mut C_tensor;
    /// The same.
    fn patchcored_convolve_int8(
        call: *const Int8Call,
        shortcut: *mut C_tensor,
        shortcut_step: f64,
        shortcut_zero: i64,
        error: *mut c_char,
        capacity: usize,
    ) -> *mut C_tensor;
    /// The same.
    fn patchcored_max_pool_int8(input: *const C_tensor, error: *mut c_char, capacity: usize) -> *mut C_tensor;
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
    // SAFETY: the tensors live until the end of this function, and libtorch checks their kinds, devices and sizes. Tensors that
    // share memory are what tch makes too; none of them is used by another thread meanwhile, since tch's tensors are not `Sync`.
    // `padding` points to two values. C++ keeps none of the pointers, and what it gives is as `made` wants it.
    unsafe {
        made(|error, capacity| {
            patchcored_convolve(
                input.as_ptr(),
                fused.weight.as_ptr(),
                fused.bias.as_ptr(),
                other.as_mut().map_or(std::ptr::null_mut(), Tensor::as_mut_ptr),
                fused.padding.as_ptr(),
                fused.stride,
                fused.groups,
                fused.activation as i32,
                error,
                capacity,
            )
        })
    }
}

/// What `call` gives, which is told where to put the reason of a failure, and how many bytes there are.
///
/// # Safety
/// `call` gives null, or a handle that is nobody else's. On null it has written a text that ends with a zero. It lets no exception out.
unsafe fn made(call: impl FnOnce(*mut c_char, usize) -> *mut C_tensor) -> Result<Tensor, TchError> {
    let mut error: [c_char; 1024] = [0; 1024];
    let made = call(error.as_mut_ptr(), error.len());
    // SAFETY: the caller vouches for the handle and the text.
    unsafe {
        if made.is_null() {
            return Err(TchError::Torch(CStr::from_ptr(error.as_ptr()).to_string_lossy().into_owned()));
        }
        Ok(Tensor::from_ptr(made))
    }
}

/// The arguments of an 8-bit convolution as `shim.cpp` declares them.
#[repr(C)]
struct Int8Call {
    input: *const C_tensor,
    weight: *const C_tensor,
    weight_steps: *const C_tensor,
    weight_zeros: *const C_tensor,
    bias: *const C_tensor,
    input_step: f64,
    input_zero: i64,
    output_step: f64,
    output_zero: i64,
    padding: [i64; 2],
    stride: i64,
    groups: i64,
    relu: bool,
}

/// A convolution of 8-bit numbers; `weight` as [`pack_int8`] gives it.
pub(super) struct Int8<'a> {
    /// uint8, channels-last.
    pub input: &'a Tensor,
    pub input_scale: Scale,
    pub weight: &'a Tensor,
    /// `[outputs]` float32.
    pub weight_steps: &'a Tensor,
    /// `[outputs]` int64.
    pub weight_zeros: &'a Tensor,
    /// `[outputs]` float32.
    pub bias: &'a Tensor,
    /// Zeros above and below, and left and right.
    pub padding: [i64; 2],
    pub stride: i64,
    pub groups: i64,
    pub output_scale: Scale,
    /// Negative values become 0.
    pub relu: bool,
}

impl Int8<'_> {
    /// `activation(convolution(input) + bias + shortcut)` as uint8, channels-last; written over `shortcut` where there is one.
    pub(super) fn convolve(&self, shortcut: Option<(Scale, Tensor)>) -> Result<Tensor, TchError> {
        let call = Int8Call {
            input: self.input.as_ptr(),
            weight: self.weight.as_ptr(),
            weight_steps: self.weight_steps.as_ptr(),
            weight_zeros: self.weight_zeros.as_ptr(),
            bias: self.bias.as_ptr(),
            input_step: self.input_scale.step,
            input_zero: self.input_scale.zero,
            output_step: self.output_scale.step,
            output_zero: self.output_scale.zero,
            padding: self.padding,
            stride: self.stride,
            groups: self.groups,
            relu: self.relu,
        };
        let (scale, mut shortcut) = shortcut.map_or((Scale { step: 1.0, zero: 0 }, None), |(scale, tensor)| (scale, Some(tensor)));
        let other = shortcut.as_mut().map_or(std::ptr::null_mut(), Tensor::as_mut_ptr);
        // SAFETY: as in `convolve`.
        unsafe { made(|error, capacity| patchcored_convolve_int8(&raw const call, other, scale.step, scale.zero, error, capacity)) }
    }
}

/// The int8 `weight` in the order that oneDNN takes for inputs of this scale and of `input_size` = `[1, C, H, W]`.
pub(super) fn pack_int8(
    weight: &Tensor,
    steps: &Tensor,
    input_scale: Scale,
    padding: [i64; 2],
    stride: i64,
    groups: i64,
    input_size: [i64; 4],
) -> Result<Tensor, TchError> {
    let (weight, steps, Scale { step, zero }) = (weight.as_ptr(), steps.as_ptr(), input_scale);
    // SAFETY: as in `convolve`; `input_size` points to four values.
    unsafe {
        made(|error, capacity| {
            patchcored_pack_int8(weight, steps, step, zero, padding.as_ptr(), stride, groups, input_size.as_ptr(), error, capacity)
        })
    }
}

/// The largest of each 3×3 window, at every second row and column, of a uint8 map; the same bits as of floats.
pub(super) fn max_pool_int8(input: &Tensor) -> Result<Tensor, TchError> {
    // SAFETY: as in `convolve`.
    unsafe { made(|error, capacity| patchcored_max_pool_int8(input.as_ptr(), error, capacity)) }
}
