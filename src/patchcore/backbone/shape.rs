//! What is fixed about a convolution before it has weights.

/// What follows a convolution. The numbers are those of `shim.cpp`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(i32)]
pub(super) enum Activation {
    None = 0,
    Relu = 1,
    Relu6 = 2,
}

/// Zeros around the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Padding {
    /// As many on each side: torch's way.
    Fixed(i64),
    /// As many as make the output `ceil(input / stride)`, the odd one at the bottom and right: TensorFlow's "same".
    Same,
}

/// The fixed properties of a convolution; its weight is `[outputs, inputs / groups, kernel, kernel]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub inputs: i64,
    pub outputs: i64,
    pub kernel: i64,
    pub stride: i64,
    pub groups: i64,
    pub padding: Padding,
    pub activation: Activation,
    /// Its input is the image, not a map of another convolution.
    pub pixels: bool,
    /// Epsilon of the batch normalisation.
    pub epsilon: f64,
}
