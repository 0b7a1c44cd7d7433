//! The ResNets of torchvision, with its names: `conv1 bn1 layerN.M.{conv1,bn1,conv2,bn2,conv3,bn3,downsample.0,downsample.1}`.
//!
//! "Deep Residual Learning for Image Recognition", arXiv:1512.03385; the stride of a bottleneck is on its 3×3 convolution
//! as in torchvision. `wide_resnet50_2` has 3×3 convolutions of twice the width (arXiv:1605.07146).

use super::conv::Conv;
use super::map::Map;
use super::shape::{Activation, Padding, Shape};
use super::stages::{Block, Stages};
use super::target::Target;
use crate::patchcore::error::EngineError;
use crate::patchcore::weights::StateDict;
use tch::TchError;

/// Blocks per stage, and what they are made of.
pub(super) struct Layout {
    blocks: [usize; 4],
    /// Width of a bottleneck's 3×3 convolution over its stage's base width; `None` for blocks of two 3×3 convolutions.
    bottleneck: Option<i64>,
}

pub(super) const RESNET18: Layout = Layout { blocks: [2, 2, 2, 2], bottleneck: None };
pub(super) const RESNET34: Layout = Layout { blocks: [3, 4, 6, 3], bottleneck: None };
pub(super) const RESNET50: Layout = Layout { blocks: [3, 4, 6, 3], bottleneck: Some(1) };
pub(super) const RESNET101: Layout = Layout { blocks: [3, 4, 23, 3], bottleneck: Some(1) };
pub(super) const WIDE_RESNET50_2: Layout = Layout { blocks: [3, 4, 6, 3], bottleneck: Some(2) };

/// Takes the network's tensors from `dict`.
pub(super) fn load(layout: &Layout, dict: &mut StateDict, target: &Target) -> Result<Stages, EngineError> {
    let of_image = Shape { pixels: true, ..shape(3, 64, 7, 2, Activation::Relu) };
    let stem = Stem { conv1: Conv::load(dict, "conv1", "bn1", of_image, target)? };
    let mut inputs = 64;
    let mut stages = [const { Vec::new() }; 4];
    for (i, stage) in stages.iter_mut().enumerate() {
        let base = 64 << i;
        for block in 0..layout.blocks[i] {
            let name = format!("layer{}.{block}", i + 1);
            let stride = if i > 0 && block == 0 { 2 } else { 1 };
            let (block, outputs) = Residual::load(dict, &name, inputs, base, stride, layout.bottleneck, target)?;
            stage.push(Box::new(block) as Box<dyn Block>);
            inputs = outputs;
        }
    }
    Ok(Stages::new(Box::new(stem), stages, target))
}

fn shape(inputs: i64, outputs: i64, kernel: i64, stride: i64, activation: Activation) -> Shape {
    Shape { inputs, outputs, kernel, stride, groups: 1, padding: Padding::Fixed(kernel / 2), activation, pixels: false, epsilon: 1e-5 }
}

struct Stem {
    conv1: Conv,
}

impl Block for Stem {
    fn forward(&self, input: Map) -> Result<Map, TchError> {
        self.conv1.forward(&input)?.max_pool()
    }
}

/// `BasicBlock` (two convolutions) or `Bottleneck` (three): relu(convolutions(x) + shortcut(x)).
struct Residual {
    convolutions: Vec<Conv>,
    /// The one that the shortcut is added to.
    last: Conv,
    downsample: Option<Conv>,
}

impl Residual {
    fn load(
        dict: &mut StateDict,
        name: &str,
        inputs: i64,
        base: i64,
        stride: i64,
        bottleneck: Option<i64>,
        target: &Target,
    ) -> Result<(Self, i64), EngineError> {
        use Activation::{None as Linear, Relu};
        let mut conv = |i: u8, shape| Conv::load(dict, &format!("{name}.conv{i}"), &format!("{name}.bn{i}"), shape, target);
        let (convolutions, last, outputs) = match bottleneck {
            None => (vec![conv(1, shape(inputs, base, 3, stride, Relu))?], conv(2, shape(base, base, 3, 1, Relu))?, base),
            Some(factor) => {
                let (width, outputs) = (base * factor, base * 4);
                let first = vec![conv(1, shape(inputs, width, 1, 1, Relu))?, conv(2, shape(width, width, 3, stride, Relu))?];
                (first, conv(3, shape(width, outputs, 1, 1, Relu))?, outputs)
            }
        };
        let downsample = if stride != 1 || inputs != outputs {
            let shape = shape(inputs, outputs, 1, stride, Linear);
            Some(Conv::load(dict, &format!("{name}.downsample.0"), &format!("{name}.downsample.1"), shape, target)?)
        } else {
            None
        };
        Ok((Residual { convolutions, last, downsample }, outputs))
    }
}

impl Block for Residual {
    fn forward(&self, input: Map) -> Result<Map, TchError> {
        let mut x = input.shallow_clone();
        for convolution in &self.convolutions {
            x = convolution.forward(&x)?;
        }
        let shortcut = match &self.downsample {
            Some(convolution) => convolution.forward(&input)?,
            None => input,
        };
        self.last.forward_onto(&x, shortcut)
    }
}
