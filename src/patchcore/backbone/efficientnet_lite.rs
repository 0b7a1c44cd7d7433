//! EfficientNet-Lite0 to Lite2 (TensorFlow's release of 2020, without squeeze-and-excitation, ReLU6 throughout), with the names of
//! their published PyTorch weights: `_conv_stem _bn0 _blocks.N.{_expand_conv,_bn0,_depthwise_conv,_bn1,_project_conv,_bn2}`.
//!
//! Its inverted residual blocks are those of MobileNetV2, arXiv:1801.04381.

use super::conv::Conv;
use super::map::Map;
use super::shape::{Activation, Padding, Shape};
use super::stages::{Block, Stages};
use super::target::Target;
use crate::patchcore::error::EngineError;
use crate::patchcore::weights::StateDict;
use tch::TchError;

/// A run of equal blocks; only the first has the stride.
struct Run {
    expansion: i64,
    stride: i64,
    kernel: i64,
    /// Which of the four layers it belongs to: those of the same stride.
    stage: usize,
}

const fn run(expansion: i64, stride: i64, kernel: i64, stage: usize) -> Run {
    Run { expansion, stride, kernel, stage }
}

const RUNS: [Run; 7] =
    [run(1, 1, 3, 0), run(6, 2, 3, 0), run(6, 2, 5, 1), run(6, 2, 3, 2), run(6, 1, 5, 2), run(6, 2, 5, 3), run(6, 1, 3, 3)];

/// What differs between the models, for each run: how many blocks it has, and the channels that it gives.
///
/// Both are those of Lite0 times a depth and a width coefficient. Blocks are rounded up, and the first and the last run stay as they are.
/// Channels are rounded to the nearest multiple of 8; none of them falls by more than 10 %. The stem always has 32.
pub(super) struct Layout {
    repeats: [usize; 7],
    outputs: [i64; 7],
}

pub(super) const LITE0: Layout = Layout { repeats: [1, 2, 2, 3, 3, 4, 1], outputs: [16, 24, 40, 80, 112, 192, 320] };
/// Depth 1.1, width 1.0.
pub(super) const LITE1: Layout = Layout { repeats: [1, 3, 3, 4, 4, 5, 1], outputs: LITE0.outputs };
/// Depth 1.2, width 1.1.
pub(super) const LITE2: Layout = Layout { repeats: [1, 3, 3, 4, 4, 5, 1], outputs: [16, 24, 48, 88, 120, 208, 352] };

/// Takes the network's tensors from `dict`.
pub(super) fn load(layout: &Layout, dict: &mut StateDict, target: &Target) -> Result<Stages, EngineError> {
    let mut inputs = 32;
    let of_image = Shape { pixels: true, ..shape(3, inputs, 3, 2, Activation::Relu6) };
    let stem = Conv::load(dict, "_conv_stem", "_bn0", of_image, target)?;
    let mut stages = [const { Vec::new() }; 4];
    let mut number = 0;
    for (run, (repeats, outputs)) in RUNS.iter().zip(layout.repeats.into_iter().zip(layout.outputs)) {
        for repeat in 0..repeats {
            let stride = if repeat == 0 { run.stride } else { 1 };
            let block = InvertedResidual::load(dict, &format!("_blocks.{number}"), (inputs, outputs), run, stride, target)?;
            stages[run.stage].push(Box::new(block) as Box<dyn Block>);
            inputs = outputs;
            number += 1;
        }
    }
    Ok(Stages::new(Box::new(stem), stages, target))
}

fn shape(inputs: i64, outputs: i64, kernel: i64, stride: i64, activation: Activation) -> Shape {
    Shape { inputs, outputs, kernel, stride, groups: 1, padding: Padding::Same, activation, pixels: false, epsilon: 1e-3 }
}

impl Block for Conv {
    fn forward(&self, input: Map) -> Result<Map, TchError> {
        Conv::forward(self, &input)
    }
}

struct InvertedResidual {
    expand: Option<Conv>,
    depthwise: Conv,
    project: Conv,
    residual: bool,
}

impl InvertedResidual {
    fn load(
        dict: &mut StateDict,
        name: &str,
        (inputs, outputs): (i64, i64),
        run: &Run,
        stride: i64,
        target: &Target,
    ) -> Result<Self, EngineError> {
        let mut conv =
            |conv: &str, bn: &str, shape: Shape| Conv::load(dict, &format!("{name}.{conv}"), &format!("{name}.{bn}"), shape, target);
        let width = inputs * run.expansion;
        let expand = match run.expansion {
            1 => None,
            _ => Some(conv("_expand_conv", "_bn0", shape(inputs, width, 1, 1, Activation::Relu6))?),
        };
        let depthwise = Shape { groups: width, ..shape(width, width, run.kernel, stride, Activation::Relu6) };
        Ok(InvertedResidual {
            expand,
            depthwise: conv("_depthwise_conv", "_bn1", depthwise)?,
            project: conv("_project_conv", "_bn2", shape(width, outputs, 1, 1, Activation::None))?,
            residual: stride == 1 && inputs == outputs,
        })
    }
}

impl Block for InvertedResidual {
    fn forward(&self, input: Map) -> Result<Map, TchError> {
        let x = match &self.expand {
            Some(expand) => self.depthwise.forward(&expand.forward(&input)?)?,
            None => self.depthwise.forward(&input)?,
        };
        if self.residual { self.project.forward_onto(&x, input) } else { self.project.forward(&x) }
    }
}
