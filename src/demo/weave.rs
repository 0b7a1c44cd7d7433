//! Product `weave`: a canvas, a plain weave of natural warp and grey weft threads, that fills the picture.

use super::defects::{Blob, DefectKind, Stroke};
use super::photo::{Rgb, Shade, Spread, Surface, cell, mix, noise, scale, smooth_step};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::f32::consts::PI;

/// From thread to thread, pixels.
const PITCH: f32 = 10.0;
/// Half the width of a thread as a share of [`PITCH`].
const HALF: f32 = 0.46;

const WARP: Rgb = [208.0, 202.0, 190.0];
const WEFT: Rgb = [170.0, 173.0, 176.0];
const GROUND: Rgb = [60.0, 57.0, 53.0];
const OIL: Rgb = [78.0, 62.0, 38.0];
/// Half the width of a stray thread, pixels.
const STRAY_HALF: f32 = 2.0;
const STRAY: Rgb = [44.0, 50.0, 66.0];

/// Cloth runs over a roller: it moves sideways and skews a little.
pub const SPREAD: Spread = Spread { shift: 5.0, turn: 1.2 };

/// One piece of cloth with what makes it different from the next.
#[derive(Debug)]
pub struct Weave {
    /// Wander, thickness and brightness of every thread.
    seed: u32,
    fault: Option<Fault>,
}

#[derive(Debug)]
enum Fault {
    OilSpot(Blob),
    Tear(Blob),
    StrayThread(Stroke),
    /// Row of the weft thread, and from where to where it is absent.
    BrokenThread(i32, f32, f32),
}

/// One thread as seen from one point.
struct Thread {
    /// Across the thread, -1..=1.
    across: f32,
    /// Height of its surface, in arbitrary units.
    height: f32,
    colour: Rgb,
}

impl Weave {
    /// Cloth with the given defect; kinds that only a disc has leave it good.
    pub fn random(defect: Option<DefectKind>, rng: &mut ChaCha8Rng) -> Weave {
        let seed = rng.random();
        let middle = (rng.random_range(-100.0..100.0), rng.random_range(-100.0..100.0));
        let fault = match defect {
            Some(DefectKind::OilSpot) => Some(Fault::OilSpot(Blob::random(middle, rng.random_range(15.0..24.0), rng))),
            Some(DefectKind::Tear) => Some(Fault::Tear(Blob::random(middle, rng.random_range(17.0..25.0), rng))),
            Some(DefectKind::StrayThread) => Some(Fault::StrayThread(Stroke::random(middle, rng.random_range(90.0..140.0), 0.3, rng))),
            Some(DefectKind::BrokenThread) => {
                let row = (middle.1 / PITCH).floor() as i32;
                let half = rng.random_range(26.0..44.0);
                Some(Fault::BrokenThread(row, middle.0 - half, middle.0 + half))
            }
            _ => None,
        };
        Weave { seed, fault }
    }

    /// The thread number `index` that runs along `along` and is crossed at `cross`, or nothing between two threads.
    /// `rise` is +1 where it lies on top in its own cell, -1 where it dives under.
    fn thread(&self, index: i32, cross: f32, along: f32, rise: f32, base: Rgb, family: u32) -> Option<Thread> {
        let seed = self.seed ^ family;
        let wander = 0.05 * noise(along / 45.0, index as f32 * 7.3, seed);
        let half = HALF * (1.0 + 0.06 * noise(along / 30.0, index as f32 * 3.1, seed ^ 1));
        let across = (cross / PITCH - index as f32 - 0.5 - wander) / half;
        if across.abs() >= 1.0 {
            return None;
        }
        let round = (1.0 - across * across).sqrt();
        let cell_along = along / PITCH - (along / PITCH).floor() - 0.5;
        let height = 0.62 * rise * (PI * cell_along).cos() + 0.38 * round;
        // Yarn is twisted: its fibres run askew and no two threads took the dye alike.
        let twist = ((along * 0.62 + across * 4.2) * 1.45).sin();
        let fibre = noise(along * 0.55, across * 3.0 + index as f32 * 5.0, seed ^ 2);
        let dye = 1.0 + 0.05 * (cell(index, 0, seed ^ 3) * 2.0 - 1.0);
        let lit = (0.56 + 0.44 * round) * (0.84 + 0.26 * height) * (1.0 + 0.05 * twist + 0.07 * fibre) * dye;
        Some(Thread { across, height, colour: scale(base, lit) })
    }

    /// Whether the warp and the weft thread at this point are absent.
    fn absent(&self, x: f32, y: f32, column: i32, row: i32) -> (bool, bool) {
        match &self.fault {
            // Each torn thread ends somewhere else.
            Some(Fault::Tear(blob)) => {
                let is_torn = |thread: i32, family: u32| blob.depth(x, y) > 14.0 * cell(thread, 1, self.seed ^ family) - 4.0;
                (is_torn(column, 0x11), is_torn(row, 0x22))
            }
            Some(Fault::BrokenThread(broken, from, to)) => (false, row == *broken && (*from..*to).contains(&x)),
            _ => (false, false),
        }
    }

    fn cloth(&self, x: f32, y: f32, light: f32) -> Rgb {
        let (column, row) = ((x / PITCH).floor() as i32, (y / PITCH).floor() as i32);
        let rise = if (column + row).rem_euclid(2) == 0 { 1.0 } else { -1.0 };
        let (no_warp, no_weft) = self.absent(x, y, column, row);
        let warp = if no_warp { None } else { self.thread(column, x, y, rise, WARP, 0x11) };
        let weft = if no_weft { None } else { self.thread(row, y, x, -rise, WEFT, 0x22) };
        let side = |thread: &Thread, axis: f32| scale(thread.colour, 1.0 + 0.12 * thread.across * axis);
        match (warp, weft) {
            (Some(warp), Some(weft)) if weft.height > warp.height => side(&weft, light.sin()),
            (Some(warp), _) => side(&warp, light.cos()),
            (None, Some(weft)) => side(&weft, light.sin()),
            (None, None) => GROUND,
        }
    }
}

impl Surface for Weave {
    fn shade(&self, x: f32, y: f32, light: f32) -> Shade {
        let cloth = self.cloth(x, y, light);
        let (colour, defect) = match &self.fault {
            None => (cloth, 0.0),
            Some(Fault::OilSpot(blob)) => {
                let cover = blob.coverage(x, y, 14.0);
                // Oil soaks in: it darkens the cloth but its structure stays.
                let soaked: Rgb = std::array::from_fn(|i| 0.45 * cloth[i] * OIL[i] / OIL[0] + 0.25 * OIL[i]);
                (mix(cloth, soaked, cover), cover)
            }
            Some(Fault::Tear(blob)) => (cloth, f32::from(blob.depth(x, y) > 0.0)),
            Some(Fault::StrayThread(stroke)) => {
                let (distance, along) = stroke.distance(x, y);
                let shadow = 0.35 * smooth_step(4.5, 1.0, stroke.distance(x + 1.5, y - 1.5).0);
                let round = (1.0 - (distance / STRAY_HALF).min(1.0).powi(2)).sqrt();
                let twist = 1.0 + 0.15 * (along * 200.0 + distance).sin();
                let thread = scale(STRAY, (0.6 + 0.6 * round) * twist);
                if distance < STRAY_HALF { (thread, 1.0) } else { (scale(cloth, 1.0 - shadow), 0.0) }
            }
            Some(Fault::BrokenThread(row, from, to)) => (cloth, f32::from((y / PITCH).floor() as i32 == *row && (*from..*to).contains(&x))),
        };
        Shade { colour, defect }
    }
}
