//! Product `disc`: a turned metal disc with a raised hub, a centre bore and a circle of countersunk bolt holes, on a dark belt.

use super::defects::{Blob, DefectKind, Stroke};
use super::photo::{Rgb, Shade, Spread, Surface, cell, mix, noise, scale, smooth_step};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::f32::consts::TAU;

/// All lengths in pixels.
const RIM: f32 = 124.0;
const RIM_CHAMFER: f32 = 8.0;
const BORE: f32 = 34.0;
const BORE_CHAMFER: f32 = 3.0;
/// The edge of the raised hub, and the width of the slope around it.
const HUB: f32 = 55.0;
const HUB_SLOPE: f32 = 4.0;
const HOLES: usize = 6;
const HOLE_CIRCLE: f32 = 80.0;
const HOLE: f32 = 11.0;
const COUNTERSINK: f32 = 4.0;

const STEEL: Rgb = [150.0, 152.0, 155.0];
const BELT: Rgb = [43.0, 46.0, 46.0];
const RUST: Rgb = [124.0, 74.0, 36.0];
const DARK_RUST: Rgb = [64.0, 36.0, 22.0];

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
                Some(Fault::Scratch(Stroke::random(middle, length, 0.12, rng)))
            }
            Some(DefectKind::Chip) => {
                let (middle, radius) = (at(RIM - rng.random_range(0.0..3.0)), rng.random_range(13.0..19.0));
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

    /// The turned face. Fine concentric grooves mirror the lamp in two opposite fans, as on every lathe-turned part; they glitter
    /// most where the fans are bright.
    fn face(&self, radius: f32, angle: f32, light: f32) -> Rgb {
        let groove = 0.6 * noise(radius * 0.9, 0.0, self.seed ^ 2) + 0.4 * noise(radius * 0.31, 3.0, self.seed ^ 3);
        let streak = noise(radius * 1.3, angle * 7.0, self.seed ^ 4);
        let fan = (angle - light).cos().abs().powi(10);
        let core = (angle - light - 0.06).cos().abs().powi(70);
        let second = (angle - light - 1.15).cos().abs().powi(24);
        let lit = 0.72 + 0.44 * fan + 0.26 * core + 0.16 * second;
        let worn = 0.025 * noise(radius * 0.05, angle * 1.5, self.seed ^ 6);
        scale(STEEL, lit * (1.0 + 0.07 * groove + 0.05 * streak) + worn)
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
        let towards_lamp = (angle - light).cos();
        if radius > RIM - RIM_CHAMFER {
            // The sharp edge of the chamfer is worn and shines.
            let edge = 0.3 * smooth_step(1.2, 0.0, radius - (RIM - RIM_CHAMFER));
            return (scale(STEEL, 0.78 + 0.5 * towards_lamp + edge), true);
        }
        if radius < BORE + BORE_CHAMFER {
            return (scale(STEEL, 0.78 - 0.5 * towards_lamp), true);
        }
        if (HUB..HUB + HUB_SLOPE).contains(&radius) {
            return (scale(STEEL, 0.8 + 0.48 * towards_lamp), true);
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
        // The hub throws a shadow away from the lamp.
        let shadow =
            if radius > HUB { 0.4 * smooth_step(HUB + HUB_SLOPE + 9.0, HUB + HUB_SLOPE, radius) * (-towards_lamp).max(0.0) } else { 0.0 };
        (scale(self.face(radius, angle, light), 1.0 - shadow), true)
    }

    /// Where metal broke off, `depth` pixels inside the break: a bright lip, rough grains that fall off into the dark, and the belt below.
    fn fracture(&self, x: f32, y: f32, depth: f32) -> Rgb {
        let grain = 0.6 * noise(x * 0.45, y * 0.45, self.seed ^ 10) + 0.4 * cell((x * 0.8) as i32, (y * 0.8) as i32, self.seed);
        let lip = 0.5 * smooth_step(1.6, 0.0, depth);
        let wall = scale(STEEL, 0.5 + 0.3 * grain + lip);
        mix(wall, scale(self.belt(x, y), 0.7), smooth_step(6.0, 11.0, depth))
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
                // The tool digs in, jumps and lets go: the line is thin at both ends and uneven between. A dark burr follows the bright core.
                let pressure = smooth_step(0.0, 0.35, along.min(1.0 - along)) * (0.75 + 0.35 * noise(along * 14.0, 0.0, self.seed ^ 8));
                let width = 0.5 + 1.1 * pressure;
                let core = smooth_step(width, width - 0.8, distance) * (0.5 + 0.5 * pressure);
                let burr = smooth_step(width + 2.0, width, distance);
                (mix(scale(colour, 1.0 - 0.45 * burr), [240.0, 242.0, 245.0], core), f32::from(distance < width + 0.6))
            }
            Some(Fault::Chip(blob)) if on_metal && blob.depth(x, y) > 0.0 => (self.fracture(x, y, blob.depth(x, y)), 1.0),
            Some(Fault::Stain(blob)) if on_metal => {
                // Rust eats from the middle: dark and thick there, thin and ragged at the edge.
                let ragged =
                    blob.depth(x, y) + 5.0 * noise(x * 0.22, y * 0.22, self.seed ^ 5) + 3.0 * noise(x * 0.6, y * 0.6, self.seed ^ 9);
                let (cover, thick) = (smooth_step(-1.0, 4.0, ragged), smooth_step(2.0, 12.0, ragged));
                (mix(colour, mix(RUST, DARK_RUST, 0.8 * thick), (0.55 + 0.4 * thick) * cover), cover)
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
