//! What goes wrong with parts: the kinds of defects and the two shapes that most of them have.

use super::photo::smooth_step;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::f32::consts::TAU;

/// A kind of defect; the first four are a disc's, the last four a weave's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefectKind {
    /// A bright line across the face.
    Scratch,
    /// A piece broken out of the rim.
    Chip,
    /// A brown spot on the metal.
    Stain,
    /// A bolt hole that was not drilled.
    MissingHole,
    /// Oil on the fabric.
    OilSpot,
    /// A hole in the fabric.
    Tear,
    /// A foreign thread lying on top.
    StrayThread,
    /// A weft thread that is absent over some length.
    BrokenThread,
}

impl DefectKind {
    /// What goes wrong with discs.
    pub const DISC: [DefectKind; 4] = [DefectKind::Scratch, DefectKind::Chip, DefectKind::Stain, DefectKind::MissingHole];
    /// What goes wrong with weaves.
    pub const WEAVE: [DefectKind; 4] = [DefectKind::OilSpot, DefectKind::Tear, DefectKind::StrayThread, DefectKind::BrokenThread];

    /// As written to the truth file.
    pub fn name(self) -> &'static str {
        match self {
            DefectKind::Scratch => "scratch",
            DefectKind::Chip => "chip",
            DefectKind::Stain => "stain",
            DefectKind::MissingHole => "missing hole",
            DefectKind::OilSpot => "oil spot",
            DefectKind::Tear => "tear",
            DefectKind::StrayThread => "stray thread",
            DefectKind::BrokenThread => "broken thread",
        }
    }
}

/// A round spot with an uneven edge.
#[derive(Debug, Clone)]
pub struct Blob {
    centre: (f32, f32),
    radius: f32,
    /// Amplitude and phase of the waves of the edge: two, three and five per turn.
    waves: [(f32, f32); 3],
}

impl Blob {
    /// A blob of about `radius` pixels round `centre`.
    pub fn random(centre: (f32, f32), radius: f32, rng: &mut ChaCha8Rng) -> Blob {
        let mut wave = |most: f32| (rng.random_range(0.3 * most..most), rng.random_range(0.0..TAU));
        Blob { centre, radius, waves: [wave(0.18), wave(0.12), wave(0.08)] }
    }

    /// Pixels from the edge to the point, positive inside.
    pub fn depth(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.centre.0, y - self.centre.1);
        let angle = dy.atan2(dx);
        let waves: f32 = self.waves.iter().zip([2.0, 3.0, 5.0]).map(|((size, phase), turns)| size * (turns * angle + phase).cos()).sum();
        self.radius * (1.0 + waves) - dx.hypot(dy)
    }

    /// 1 inside, 0 outside, with an edge `soft` pixels wide.
    pub fn coverage(&self, x: f32, y: f32, soft: f32) -> f32 {
        smooth_step(-0.5 * soft, 0.5 * soft, self.depth(x, y))
    }
}

/// A bent line.
#[derive(Debug, Clone)]
pub struct Stroke {
    points: Vec<(f32, f32)>,
}

impl Stroke {
    /// A line of about `length` pixels through `middle`, that bends by up to `most_bend` of its length.
    pub fn random(middle: (f32, f32), length: f32, most_bend: f32, rng: &mut ChaCha8Rng) -> Stroke {
        let (sin, cos) = rng.random_range(0.0..TAU).sin_cos();
        let bend = rng.random_range(-most_bend..most_bend) * length;
        // A parabola over the chord: the bend is zero at both ends and largest in the middle.
        let at = |t: f32| {
            let (along, across) = ((t - 0.5) * length, bend * (0.5 - 2.0 * (t - 0.5) * (t - 0.5)));
            (middle.0 + cos * along - sin * across, middle.1 + sin * along + cos * across)
        };
        Stroke { points: (0..=16).map(|step| at(step as f32 / 16.0)).collect() }
    }

    /// Pixels to the nearest point of the line, and how far along the line that is, 0..=1.
    pub fn distance(&self, x: f32, y: f32) -> (f32, f32) {
        let pieces = self.points.len().saturating_sub(1) as f32;
        let mut best = (f32::INFINITY, 0.0);
        for (index, ends) in self.points.windows(2).enumerate() {
            let ((ax, ay), (bx, by)) = (ends[0], ends[1]);
            let (dx, dy) = (bx - ax, by - ay);
            let t = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
            let distance = (x - ax - t * dx).hypot(y - ay - t * dy);
            if distance < best.0 {
                best = (distance, (index as f32 + t) / pieces);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_blob_is_full_at_its_centre_and_empty_far_off() {
        let blob = Blob::random((10.0, -5.0), 12.0, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(blob.coverage(10.0, -5.0, 2.0), 1.0);
        assert_eq!(blob.coverage(40.0, -5.0, 2.0), 0.0);
    }

    #[test]
    fn a_stroke_is_nearest_to_its_own_points() {
        let stroke = Stroke::random((0.0, 0.0), 60.0, 0.12, &mut ChaCha8Rng::seed_from_u64(2));
        let (x, y) = stroke.points[4];
        let (distance, along) = stroke.distance(x, y);
        assert!(distance < 1e-3);
        assert!((along - 0.25).abs() < 1e-3);
        assert!(stroke.distance(100.0, 100.0).0 > 50.0);
    }
}
