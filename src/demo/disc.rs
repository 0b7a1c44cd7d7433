//! Product `disc`: a turned metal disc with a centre bore and a circle of countersunk bolt holes, on a dark belt.

use super::defects::{Blob, DefectKind, Stroke};
use super::photo::{Rgb, Shade, Spread, Surface, cell, mix, noise, scale, smooth_step};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::f32::consts::TAU;

/// All lengths in pixels.
const RIM: f32 = 124.0;
const RIM_CHAMFER: f32 = 8.0;
const BORE: f32 = 34.0;
const BORE_CHAMFER: f32 = 5.0;
const HOLES: usize = 6;
const HOLE_CIRCLE: f32 = 80.0;
const HOLE: f32 = 11.0;
const COUNTERSINK: f32 = 4.0;

const STEEL: Rgb = [148.0, 151.0, 156.0];
const BELT: Rgb = [43.0, 47.0, 46.0];
const RUST: Rgb = [112.0, 72.0, 38.0];

/// A disc is laid down by hand: a few pixels off and a little turned.
pub const SPREAD: Spread = Spread { shift: 4.0, turn: 3.0 };

/// One disc with what makes it different from the next.
#[derive(Debug)]
pub struct Disc {
    /// Grooves of the turning tool and grain of the belt.
    seed: u32,
    fault: Option<Fault>,
}

#[derive(Debug)]
enum Fault {
    Scratch(Stroke),
    Chip(Blob),
    Stain(Blob),
    MissingHole(usize),
}

impl Disc {
    /// A disc with the given defect; kinds that only a weave has leave it good.
    pub fn random(defect: Option<DefectKind>, rng: &mut ChaCha8Rng) -> Disc {
        let seed = rng.random();
        let angle = rng.random_range(0.0..TAU);
        let at = |radius: f32| (radius * angle.cos(), radius * angle.sin());
        let fault = match defect {
            Some(DefectKind::Scratch) => {
                let (middle, length) = (at(rng.random_range(66.0..92.0)), rng.random_range(48.0..76.0));
                Some(Fault::Scratch(Stroke::random(middle, length, rng)))
            }
            Some(DefectKind::Chip) => {
                let (middle, radius) = (at(RIM - rng.random_range(0.0..3.0)), rng.random_range(10.0..15.0));
                Some(Fault::Chip(Blob::random(middle, radius, rng)))
            }
            Some(DefectKind::Stain) => {
                let (middle, radius) = (at(rng.random_range(58.0..96.0)), rng.random_range(11.0..17.0));
                Some(Fault::Stain(Blob::random(middle, radius, rng)))
            }
            Some(DefectKind::MissingHole) => Some(Fault::MissingHole(rng.random_range(0..HOLES))),
            _ => None,
        };
        Disc { seed, fault }
    }

    fn belt(&self, x: f32, y: f32) -> Rgb {
        let grain = 0.5 * noise(x * 0.5, y * 0.5, self.seed) + 0.5 * noise(x * 0.11, y * 0.11, self.seed ^ 1);
        // The disc is thick: it throws a soft shadow away from the lamp.
        let shadow = 0.45 * smooth_step(RIM + 18.0, RIM - 8.0, (x + 6.0).hypot(y - 6.0));
        scale(BELT, (1.0 + 0.12 * grain) * (1.0 - shadow))
    }

    /// The turned face. Fine concentric grooves mirror the lamp in two opposite fans, as on every lathe-turned part.
    fn face(&self, radius: f32, angle: f32, light: f32) -> Rgb {
        let groove = 0.6 * noise(radius * 0.9, 0.0, self.seed ^ 2) + 0.4 * noise(radius * 0.31, 3.0, self.seed ^ 3);
        let streak = noise(radius * 1.1, angle * 9.0, self.seed ^ 4);
        let fan = (angle - light).cos().abs().powi(8);
        let second = (angle - light - 1.15).cos().abs().powi(24);
        scale(STEEL, 0.86 + 0.42 * fan + 0.12 * second + 0.035 * groove + 0.02 * streak)
    }

    fn hole_centre(index: usize) -> (f32, f32) {
        let angle = (index as f32 + 0.5) * TAU / HOLES as f32;
        (HOLE_CIRCLE * angle.cos(), HOLE_CIRCLE * angle.sin())
    }

    /// The colour of a part without fault, and whether there is metal at all.
    fn sound(&self, x: f32, y: f32, light: f32, undrilled: Option<usize>) -> (Rgb, bool) {
        let (radius, angle) = (x.hypot(y), y.atan2(x));
        if radius > RIM {
            return (self.belt(x, y), false);
        }
        if radius < BORE {
            return (Disc::depth(radius / BORE, angle, light), false);
        }
        if radius > RIM - RIM_CHAMFER {
            return (scale(STEEL, 0.82 + 0.46 * (angle - light).cos()), true);
        }
        if radius < BORE + BORE_CHAMFER {
            return (scale(STEEL, 0.78 - 0.5 * (angle - light).cos()), true);
        }
        for index in (0..HOLES).filter(|index| Some(*index) != undrilled) {
            let (cx, cy) = Disc::hole_centre(index);
            let (from, around) = ((x - cx).hypot(y - cy), (y - cy).atan2(x - cx));
            if from < HOLE {
                return (Disc::depth(from / HOLE, around, light), false);
            }
            if from < HOLE + COUNTERSINK {
                return (scale(STEEL, 0.76 - 0.48 * (around - light).cos()), true);
            }
        }
        (self.face(radius, angle, light), true)
    }

    /// Inside a hole: dark, with a thin lit sickle on the wall that faces the lamp.
    fn depth(share: f32, angle: f32, light: f32) -> Rgb {
        let sickle = smooth_step(0.8, 1.0, share) * (-(angle - light).cos()).max(0.0);
        scale(BELT, 0.5 + 1.1 * sickle)
    }
}

impl Surface for Disc {
    fn shade(&self, x: f32, y: f32, light: f32) -> Shade {
        let undrilled = if let Some(Fault::MissingHole(index)) = self.fault { Some(index) } else { None };
        let (colour, on_metal) = self.sound(x, y, light, undrilled);
        let (colour, defect) = match &self.fault {
            None => (colour, 0.0),
            Some(Fault::Scratch(stroke)) if on_metal => {
                let (distance, along) = stroke.distance(x, y);
                // The tool digs in and lets go: the line thins out at both ends. A dark burr follows the bright core.
                let width = 0.7 + 1.0 * smooth_step(0.0, 0.3, along.min(1.0 - along));
                let core = smooth_step(width, width - 0.8, distance);
                let burr = smooth_step(width + 1.6, width, distance);
                (mix(scale(colour, 1.0 - 0.4 * burr), [236.0, 238.0, 242.0], core), f32::from(distance < width + 0.6))
            }
            Some(Fault::Chip(blob)) if on_metal && blob.depth(x, y) > 0.0 => {
                let edge = smooth_step(4.0, 0.0, blob.depth(x, y));
                let rough = 0.55 + 0.35 * cell((x * 0.7) as i32, (y * 0.7) as i32, self.seed);
                (mix(self.belt(x, y), scale(STEEL, rough), edge), 1.0)
            }
            Some(Fault::Stain(blob)) if on_metal => {
                let thick = 0.8 + 0.2 * noise(x * 0.25, y * 0.25, self.seed ^ 5);
                let cover = blob.coverage(x, y, 4.0);
                (mix(colour, RUST, 0.72 * cover * thick), cover)
            }
            Some(Fault::MissingHole(index)) => {
                let (cx, cy) = Disc::hole_centre(*index);
                (colour, f32::from((x - cx).hypot(y - cy) < HOLE + COUNTERSINK))
            }
            Some(_) => (colour, 0.0),
        };
        Shade { colour, defect }
    }
}
