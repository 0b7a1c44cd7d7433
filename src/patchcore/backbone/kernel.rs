//! A convolution's weight, made ready for the size of the input at hand.

use super::map::Map;
use super::shape::{Padding, Shape};
use super::{fused, shim};
use std::cell::{Ref, RefCell};
use tch::{TchError, Tensor};

/// A weight `[outputs, inputs / groups, kernel, kernel]` and its latest [`Ready`] form.
///
/// The form depends on the input's height and width only, which seldom change from one image to the next; making it anew takes
/// about as long as convolving with a weight that is not packed loses.
#[derive(Debug)]
pub(super) struct Kernel {
    weight: Tensor,
    order: Order,
    ready: RefCell<Option<Ready>>,
}

/// The order of a weight's values in memory.
#[derive(Debug)]
pub(super) enum Order {
    /// Channels innermost, which libtorch's CPU convolutions are fastest at.
    ChannelsLast,
    /// That of oneDNN's fused convolutions.
    Packed,
    /// That of oneDNN's 8-bit convolutions, for weights of these steps.
    PackedInt8(Tensor),
}

/// What a convolution needs for inputs of one size.
#[derive(Debug)]
pub(super) struct Ready {
    /// Height and width.
    input: (i64, i64),
    pub weight: Tensor,
    /// Zeros above and below, and left and right.
    pub padding: [i64; 2],
}

impl Kernel {
    pub(super) fn new(weight: Tensor, order: Order) -> Result<Self, TchError> {
        let weight = if matches!(order, Order::ChannelsLast) { channels_last(&weight)? } else { weight };
        Ok(Kernel { weight, order, ready: RefCell::new(None) })
    }

    /// The weight and the padding for an input `[1, C, H, W]`. All inputs of a convolution have one scale.
    pub(super) fn for_input(&self, shape: &Shape, input: &Map) -> Result<Ref<'_, Ready>, TchError> {
        let (_, channels, height, width) = input.values.size4()?;
        let current = self.ready.borrow().as_ref().is_some_and(|ready| ready.input == (height, width));
        if !current {
            let (rows, columns) = (padding(shape, height), padding(shape, width));
            let padding = [rows.each_side, columns.each_side];
            let mut weight = self.weight.shallow_clone();
            let is_wider = rows.widen + columns.widen > 0;
            if is_wider {
                weight = weight.f_constant_pad_nd([columns.widen, 0, rows.widen, 0])?;
            }
            let (Shape { stride, groups, .. }, size) = (*shape, [1, channels, height, width]);
            weight = match &self.order {
                Order::ChannelsLast if is_wider => channels_last(&weight)?,
                Order::ChannelsLast => weight,
                Order::Packed => fused::pack(&weight, padding, stride, groups, size)?,
                Order::PackedInt8(steps) => shim::pack_int8(&weight, steps, input.scale()?, padding, stride, groups, size)?,
            };
            self.ready.replace(Some(Ready { input: (height, width), weight, padding }));
        }
        Ref::filter_map(self.ready.borrow(), Option::as_ref).map_err(|_| TchError::Shape("no weight is ready".to_owned()))
    }
}

/// Padding along one side of the input.
#[derive(Debug, PartialEq)]
struct Side {
    each_side: i64,
    /// 1 where the padding is uneven: one more zero before the input, which a zero before the kernel takes back. So the input
    /// need not be copied into a larger one; the results are the same bits.
    widen: i64,
}

fn padding(shape: &Shape, length: i64) -> Side {
    match shape.padding {
        Padding::Fixed(n) => Side { each_side: n, widen: 0 },
        Padding::Same => {
            let both = same_padding(length, shape.kernel, shape.stride);
            Side { each_side: (both + 1) / 2, widen: both % 2 }
        }
    }
}

/// Zeros to add along one side, both ends together.
fn same_padding(length: i64, kernel: i64, stride: i64) -> i64 {
    let output = (length + stride - 1) / stride;
    ((output - 1) * stride + kernel - length).max(0)
}

/// The same tensor with its channels innermost in memory.
fn channels_last(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::same_padding;

    #[test]
    fn same_padding_is_tensorflows() {
        for (length, kernel, stride, padding) in
            [(224, 3, 2, 1), (225, 3, 2, 2), (56, 5, 2, 3), (57, 5, 2, 4), (14, 5, 1, 4), (7, 1, 1, 0), (1, 3, 2, 2)]
        {
            assert_eq!(same_padding(length, kernel, stride), padding, "{length} {kernel} {stride}");
        }
    }
}
