//! EfficientNet-Lite0 (TensorFlow's release of 2020, without squeeze-and-excitation, ReLU6 throughout), with the names of
//! its published PyTorch weights: `_conv_stem _bn0 _blocks.N.{_expand_conv,_bn0,_depthwise_conv,_bn1,_project_conv,_bn2}`.
//!
//! Its inverted residual blocks are those of MobileNetV2, arXiv:1801.04381.

use super::conv::Conv;
use super::network::{Block, Network};
use super::shape::{Activation, Padding, Shape};
use super::target::Target;
use crate::patchcore::error::EngineError;
use crate::patchcore::weights::StateDict;
use tch::{TchError, Tensor};

/// A run of equal blocks; only the first has the stride.
struct Run {
    repeats: usize,
    expansion: i64,
    stride: i64,
    kernel: i64,
    outputs: i64,
    /// Which of the four layers it belongs to: those of the same stride.
    stage: usize,
}

const fn run(repeats: usize, expansion: i64, stride: i64, kernel: i64, outputs: i64, stage: usize) -> Run {
    Run { repeats, expansion, stride, kernel, outputs, stage }
}

const RUNS: [Run; 7] = [
    run(1, 1, 1, 3, 16, 0),
    run(2, 6, 2, 3, 24, 0),
    run(2, 6, 2, 5, 40, 1),
    run(3, 6, 2, 3, 80, 2),
    run(3, 6, 1, 5, 112, 2),
    run(4, 6, 2, 5, 192, 3),
    run(1, 6, 1, 3, 320, 3),
];

/// Takes the network's tensors from `dict`.
pub(super) fn load(dict: &mut StateDict, target: Target) -> Result<Network, EngineError> {
    let mut inputs = 32;
    let stem = Conv::load(dict, "_conv_stem", "_bn0", shape(3, inputs, 3, 2, Activation::Relu6), target)?;
    let mut stages = [const { Vec::new() }; 4];
    let mut number = 0;
    for run in &RUNS {
        for repeat in 0..run.repeats {
            let stride = if repeat == 0 { run.stride } else { 1 };
            let block = InvertedResidual::load(dict, &format!("_blocks.{number}"), inputs, run, stride, target)?;
            stages[run.stage].push(Box::new(block) as Box<dyn Block>);
            inputs = run.outputs;
            number += 1;
        }
    }
    Ok(Network { stem: Box::new(stem), stages })
}

fn shape(inputs: i64, outputs: i64, kernel: i64, stride: i64, activation: Activation) -> Shape {
    Shape { inputs, outputs, kernel, stride, groups: 1, padding: Padding::Same, activation, epsilon: 1e-3 }
}

impl Block for Conv {
    fn forward(&self, input: Tensor) -> Result<Tensor, TchError> {
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
    fn load(dict: &mut StateDict, name: &str, inputs: i64, run: &Run, stride: i64, target: Target) -> Result<Self, EngineError> {
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
            project: conv("_project_conv", "_bn2", shape(width, run.outputs, 1, 1, Activation::None))?,
            residual: stride == 1 && inputs == run.outputs,
        })
    }
}

impl Block for InvertedResidual {
    fn forward(&self, input: Tensor) -> Result<Tensor, TchError> {
        let x = match &self.expand {
            Some(expand) => self.depthwise.forward(&expand.forward(&input)?)?,
            None => self.depthwise.forward(&input)?,
        };
        if self.residual { self.project.forward_onto(&x, input) } else { self.project.forward(&x) }
    }
}
