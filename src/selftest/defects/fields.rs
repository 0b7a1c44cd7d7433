//! The form of each kind of defect, as a field around its middle.

use super::noise::{noise, smooth};
use super::planted::PlantedDefect;
use crate::domain::PlantedKind;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f32::consts::TAU;

/// The field at one point.
#[derive(Debug, Clone, Copy)]
pub struct FieldPoint {
    /// How much of the pixel the defect covers, 0..=1.
    pub cover: f32,
    /// Its change of brightness, -1..=1; 1 is the whole contrast.
    pub change: f32,
}

const NOTHING: FieldPoint = FieldPoint { cover: 0.0, change: 0.0 };

/// The share of colour that a brown stain takes from red, green and blue; their mean is 1.
const BROWN: [f32; 3] = [0.7, 1.0, 1.3];

/// One defect, ready to be asked for every pixel.
#[derive(Debug)]
pub struct Field {
    kind: PlantedKind,
    /// Half of the longest extent and half of the width, pixels.
    half: (f32, f32),
    /// Cosine and sine of its direction.
    direction: (f32, f32),
    /// Seed of its noise.
    seed: u32,
    /// Bend of a scratch, -1..=1.
    bend: f32,
    bright: bool,
}

impl Field {
    pub fn new(defect: &PlantedDefect) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(defect.seed);
        let angle: f32 = rng.random_range(0.0..TAU);
        let (length, width) = defect.kind.extent(defect.size.max(1));
        Self {
            kind: defect.kind,
            half: (length as f32 / 2.0, width as f32 / 2.0),
            direction: (angle.cos(), angle.sin()),
            seed: rng.random(),
            bend: rng.random_range(-1.0..1.0),
            bright: rng.random(),
        }
    }

    /// Along the defect, a unit vector.
    pub fn direction(&self) -> (f32, f32) {
        self.direction
    }

    /// The field at `(x, y)`, pixels from the middle of the defect.
    pub fn at(&self, x: f32, y: f32) -> FieldPoint {
        let (cos, sin) = self.direction;
        let (along, across) = (x * cos + y * sin, y * cos - x * sin);
        match self.kind {
            PlantedKind::Scratch => self.scratch(along, across),
            PlantedKind::Spot => self.spot(along, across),
            PlantedKind::Stain => self.stain(along, across),
            PlantedKind::Dent => self.dent(along, across),
            PlantedKind::Missing => self.missing(along, across),
            PlantedKind::Smear => self.smear(along, across),
            PlantedKind::None => FieldPoint { cover: smooth(self.half.0 + 1.0, self.half.0 * 0.7, along.hypot(across)), change: 0.0 },
        }
    }

    /// The tool digs in and lets go, so both ends are thin. A burr of the other sign follows the line where it is wide enough.
    fn scratch(&self, along: f32, across: f32) -> FieldPoint {
        let share = along / self.half.0;
        if share.abs() > 1.0 {
            return NOTHING;
        }
        // The chord stays as long as the size; the bend is at most a tenth of it.
        let middle = self.bend * self.half.0 * 0.2 * (share * share - 0.5) + self.half.1 * 0.3 * noise(along / 9.0, 0.0, self.seed);
        let distance = (across - middle).abs();
        let half_width = self.half.1 * (0.25 + 0.75 * smooth(1.0, 0.3, share.abs()));
        let line = smooth(half_width + 0.5, half_width - 0.5, distance);
        let wide = self.half.1 >= 1.0;
        let burr = if wide && across > middle { smooth(half_width + 1.6, half_width + 0.4, distance) * (1.0 - line) } else { 0.0 };
        let strength = 0.85 + 0.15 * noise(along / 5.0, 7.0, self.seed);
        FieldPoint { cover: line.max(burr), change: line * strength - 0.35 * burr }
    }

    /// The radius of an uneven round form in the direction of a point, as a share of half the size: 0.75 to 1.
    fn uneven_radius(&self, along: f32, across: f32, bumps: f32) -> f32 {
        let angle = across.atan2(along);
        0.875 + 0.125 * noise(angle.cos() * bumps + 50.0, angle.sin() * bumps + 50.0, self.seed)
    }

    fn spot(&self, along: f32, across: f32) -> FieldPoint {
        let radius = self.half.0 * (0.5 + 0.5 * self.uneven_radius(along, across, 1.0));
        let cover = smooth(radius + 0.7, radius - 0.7, along.hypot(across));
        FieldPoint { cover, change: cover * (0.9 + 0.1 * noise(along / 3.0, across / 3.0, self.seed)) }
    }

    /// A dried drop: its edge is darker than its middle, and uneven.
    fn stain(&self, along: f32, across: f32) -> FieldPoint {
        let radius = self.half.0 * self.uneven_radius(along, across, 1.8);
        let share = along.hypot(across) / radius;
        let soft = (1.5 / radius).max(0.15);
        let cover = smooth(1.0 + soft / 2.0, 1.0 - soft, share);
        let patches = 0.15 * noise(along / radius * 2.5, across / radius * 2.5, self.seed ^ 1);
        FieldPoint { cover, change: cover * (0.7 + patches + 0.3 * smooth(0.55, 0.9, share)) }
    }

    /// The slope of a round hollow towards the light: one side bright, the other dark.
    fn dent(&self, along: f32, across: f32) -> FieldPoint {
        let share = along.hypot(across) / self.half.0;
        if share >= 1.0 {
            return NOTHING;
        }
        let slope = share * (1.0 - share * share) * if share > 0.0 { along / (share * self.half.0) } else { 0.0 };
        FieldPoint { cover: smooth(1.0, 0.6, share), change: slope }
    }

    /// A piece broken out along straight edges: a form with corners, a rough ground, and a lit edge on one side.
    fn missing(&self, along: f32, across: f32) -> FieldPoint {
        // Seven straight edges at uneven angles and distances.
        let edge = |i: u32| {
            let angle = (i as f32 + 0.35 * noise(i as f32 * 3.7, 0.5, self.seed)) / 7.0 * TAU;
            let reach = self.half.0 * (0.80 + 0.15 * noise(i as f32 * 2.3, 9.5, self.seed));
            along * angle.cos() + across * angle.sin() - reach
        };
        let outside = (0..7).map(edge).fold(f32::NEG_INFINITY, f32::max).max(along.hypot(across) - self.half.0);
        let cover = smooth(0.8, -0.8, outside);
        let rough = 0.85 + 0.15 * noise(along * 0.5, across * 0.5, self.seed ^ 2);
        let rim = smooth(-2.5, -0.5, outside) * smooth(0.0, 1.0, along / self.half.0);
        FieldPoint { cover, change: cover * (rough - 0.6 * rim) }
    }

    /// Wiped along its direction: streaks that begin hard and fade out.
    fn smear(&self, along: f32, across: f32) -> FieldPoint {
        let (length, width) = self.half;
        // Each streak ends somewhere else.
        let streak = noise(along / (3.0 * length), across / (width / 4.0).max(1.0), self.seed);
        let end = length * (0.75 + 0.25 * streak);
        let ends = smooth(length, length * 0.75, -along) * smooth(end, end - length, along);
        let cover = ends * smooth(width, width * 0.6, across.abs());
        FieldPoint { cover, change: cover * (0.6 + 0.4 * streak) }
    }

    /// Whether the defect is brighter or darker than its place, 1 or -1: by its seed where both fit between 0 and the full scale, else to
    /// the side with more room. Stains and missing areas are dark where they can be.
    pub fn sign(&self, mean: f32, amount: f32, full: f32) -> f32 {
        let wants_bright = self.bright && !matches!(self.kind, PlantedKind::Stain | PlantedKind::Missing);
        let (dark_fits, bright_fits) = (amount <= mean, amount <= full - mean);
        let bright = match (dark_fits, bright_fits) {
            (true, true) => wants_bright,
            (true, false) => false,
            (false, true) => true,
            (false, false) => mean < full / 2.0,
        };
        if bright { 1.0 } else { -1.0 }
    }

    /// How much of the structure below it is gone, 0..=1, at this contrast (a share). Some always stays: no real place is without grain.
    pub fn wiped(&self, contrast: f32) -> f32 {
        match self.kind {
            PlantedKind::Missing | PlantedKind::Smear => (2.0 * contrast).min(0.8),
            _ => 0.0,
        }
    }

    /// The part of a channel in the change; the mean of all channels is 1. A dark stain is brown, a bright one has no colour.
    pub fn tint(&self, channel: usize, channels: usize, sign: f32) -> f32 {
        if self.kind == PlantedKind::Stain && channels == BROWN.len() && sign < 0.0 { BROWN[channel] } else { 1.0 }
    }

    /// A stain takes a share of the light, so it changes bright grain more than dark grain; all others change every sample alike.
    pub fn gain(&self, sample: f32, mean: f32) -> f32 {
        if self.kind == PlantedKind::Stain && mean > 0.0 { (sample / mean).clamp(0.5, 1.5) } else { 1.0 }
    }
}
