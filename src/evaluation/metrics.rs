//! How well scores tell good from bad: AUROC, AUPRO, false alarms and recall. Pure functions of numbers.
//!
//! A NaN score counts as above every number, as everywhere in this program. Where a measure is undefined (one class is missing),
//! the result is `None`.

use crate::imaging::regions::regions;

/// Area under the ROC curve of `bad` against `good` scores: the chance that a bad one is above a good one, a tie counting one half.
///
/// Exact, from ranks (Mann-Whitney). Memory: 8 bytes per score.
pub fn auroc(good: impl IntoIterator<Item = f32>, bad: impl IntoIterator<Item = f32>) -> Option<f64> {
    let mut keys: Vec<u64> = good.into_iter().map(|s| entry(s, false)).collect();
    let goods = keys.len() as u64;
    keys.extend(bad.into_iter().map(|s| entry(s, true)));
    let bads = keys.len() as u64 - goods;
    if goods == 0 || bads == 0 {
        return None;
    }
    keys.sort_unstable();
    let mut below = 0u64;
    // Twice the number of (bad, good) pairs in order, so that ties stay whole numbers.
    let mut twice = 0u128;
    for tied in keys.chunk_by(|a, b| a >> 1 == b >> 1) {
        let bad = tied.iter().filter(|&&k| k & 1 == 1).count() as u64;
        let good = tied.len() as u64 - bad;
        twice += u128::from(bad) * u128::from(2 * below + good);
        below += good;
    }
    Some(twice as f64 / (2.0 * goods as f64 * bads as f64))
}

/// A score as a whole number that sorts like it, with the class in the lowest bit.
fn entry(score: f32, bad: bool) -> u64 {
    u64::from(order(score)) << 1 | u64::from(bad)
}

/// Maps scores to whole numbers in the same order; both zeros are one, NaN is above all.
fn order(score: f32) -> u32 {
    if score.is_nan() {
        return u32::MAX;
    }
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// Anomaly map and ground truth of one image.
#[derive(Debug, Clone, Copy)]
pub struct Truth<'a> {
    /// Distances, rows of `width` pixels.
    pub map: &'a [f32],
    /// As many pixels; anything but 0 is a defect. `None` for an image without one.
    pub mask: Option<&'a [u8]>,
    /// Pixels per row.
    pub width: usize,
}

impl Truth<'_> {
    fn is_defect(&self, i: usize) -> bool {
        self.mask.is_some_and(|mask| mask[i] != 0)
    }
}

/// [`auroc`] over the pixels of all images. Memory: 8 bytes per pixel.
pub fn pixel_auroc(images: &[Truth]) -> Option<f64> {
    let of = |defect: bool| {
        images.iter().flat_map(move |t| t.map.iter().enumerate().filter(move |&(i, _)| t.is_defect(i) == defect).map(|(_, &d)| d))
    };
    auroc(of(false), of(true))
}

/// Area under the per-region-overlap curve up to the false-positive rate `limit` (0.3 by custom), divided by `limit`.
///
/// For each threshold: the mean over all 8-connected ground-truth regions of the share that lies above it, against the share of the
/// good pixels above it (Bergmann et al., MVTec AD, 2021, section 6.1). Exact: every distinct distance is a threshold, points are
/// joined by straight lines, and the curve is cut at `limit` by interpolation. Memory: 8 bytes per pixel.
pub fn aupro(images: &[Truth], limit: f64) -> Option<f64> {
    // Each pixel with what it adds to the overlap once the threshold falls below it; good pixels have region 0.
    let mut pixels: Vec<(u32, u32)> = Vec::with_capacity(images.iter().map(|t| t.map.len()).sum());
    let mut share = vec![0.0];
    for truth in images {
        let found = truth.mask.map(|mask| regions(mask, truth.width)).unwrap_or_default();
        let first = share.len();
        share.extend(found.areas.iter().map(|&area| 1.0 / area as f64));
        let start = pixels.len();
        pixels.extend(truth.map.iter().map(|&d| (order(d), 0)));
        for run in found.runs {
            for (_, region) in &mut pixels[start + run.y * truth.width + run.start..start + run.y * truth.width + run.end] {
                *region = u32::try_from(first + run.region).ok()?;
            }
        }
    }
    let count = share.len() - 1;
    let good = pixels.iter().filter(|p| p.1 == 0).count();
    if count == 0 || good == 0 || limit <= 0.0 {
        return None;
    }
    pixels.sort_unstable_by_key(|p| std::cmp::Reverse(p.0));
    let (mut false_alarms, mut overlap, mut area) = (0usize, 0.0, 0.0);
    let (mut x, mut y) = (0.0, 0.0);
    for tied in pixels.chunk_by(|a, b| a.0 == b.0) {
        for &(_, region) in tied {
            false_alarms += usize::from(region == 0);
            overlap += share[region as usize];
        }
        let (next_x, next_y) = (false_alarms as f64 / good as f64, overlap / count as f64);
        if next_x >= limit {
            let cut = if next_x > x { y + (next_y - y) * (limit - x) / (next_x - x) } else { next_y };
            return Some((area + (limit - x) * (y + cut) / 2.0) / limit);
        }
        area += (next_x - x) * (y + next_y) / 2.0;
        (x, y) = (next_x, next_y);
    }
    // The last threshold lets every good pixel through, so only a limit above 1 comes here.
    Some(area / x)
}

/// The share of scores that are rejected at `tau`: the false-alarm rate when they are of good parts, the recall when of bad ones.
pub fn rejected(scores: &[f32], tau: f64) -> Option<f64> {
    // Passing needs proof, as in `Decision`.
    let passed = scores.iter().filter(|&&s| f64::from(s) <= tau).count();
    (!scores.is_empty()).then(|| (scores.len() - passed) as f64 / scores.len() as f64)
}

/// The share of `bad` scores that are rejected where a share `false_alarms` of the `good` ones is: tau is then the quantile
/// 1 − `false_alarms` of the good scores, with linear interpolation. `None` without scores, or with one that is no number.
pub fn recall_at(false_alarms: f64, good: &[f32], bad: &[f32]) -> Option<f64> {
    let mut good = good.to_vec();
    good.sort_unstable_by(f32::total_cmp);
    let place = (1.0 - false_alarms) * good.len().checked_sub(1)? as f64;
    let (low, high) = (f64::from(good[place.floor() as usize]), f64::from(good[place.ceil() as usize]));
    let tau = low + (high - low) * place.fract();
    rejected(bad, tau).filter(|_| tau.is_finite())
}

/// Pixels that masks and drawn defects have in common, and pixels that are in either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaskOverlap {
    both: u64,
    either: u64,
}

impl MaskOverlap {
    /// Adds one image; both masks `[h, w]` in the same order, 0 = not set.
    pub fn add(&mut self, found: &[u8], drawn: &[u8]) {
        for (found, drawn) in found.iter().zip(drawn) {
            self.both += u64::from(*found != 0 && *drawn != 0);
            self.either += u64::from(*found != 0 || *drawn != 0);
        }
    }

    /// Intersection over union of all images together; `None` when nothing is set anywhere.
    pub fn iou(self) -> Option<f64> {
        (self.either > 0).then(|| self.both as f64 / self.either as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    /// A map and a mask by formula, the same as in the Python snippets below.
    fn example(seed: usize) -> (Vec<f32>, Vec<u8>) {
        let (w, h) = (24, 16);
        let mask: Vec<u8> = (0..w * h)
            .map(|i| {
                let (x, y) = (i % w, i / w);
                u8::from((3..7).contains(&x) && (2..9).contains(&y) || (15..17).contains(&x) && (11..13).contains(&y) || x == 17 && y == 13)
            })
            .collect();
        let map = (0..w * h).map(|i| ((i * 37 + seed * 11) % 64) as f32 / 64.0 + f32::from(mask[i]) * 0.25).collect();
        (map, mask)
    }

    #[test]
    fn auroc_counts_ties_one_half() {
        close(auroc([1.0, 2.0], [3.0, 4.0]), 1.0);
        close(auroc([1.0, 1.0], [1.0]), 0.5);
        // sklearn.metrics.roc_auc_score([0, 0, 0, 0, 1, 1, 1], [.1, .4, .35, .8, .35, .8, .9])
        close(auroc([0.1, 0.4, 0.35, 0.8], [0.35, 0.8, 0.9]), 0.75);
        close(auroc([-1.0, -2.0, 0.0], [-0.0, f32::NAN]), 11.0 / 12.0);
        assert_eq!(auroc([], [1.0]), None);
        assert_eq!(auroc([1.0], []), None);
    }

    #[test]
    fn pixel_measures_agree_with_python() {
        let ((a, mask), (b, _)) = (example(0), example(1));
        let images = [Truth { map: &a, mask: Some(&mask), width: 24 }, Truth { map: &b, mask: None, width: 24 }];
        // sklearn.metrics.roc_auc_score of all pixels.
        close(pixel_auroc(&images), 0.7153576582148011);
        // numpy: for every distinct distance t in falling order the point (mean(good >= t), mean over scipy.ndimage.label regions,
        // structure 3x3, of mean(region >= t)); np.trapezoid up to 0.3 with the end interpolated, divided by 0.3.
        close(aupro(&images, 0.3), 0.3986475542597992);
        close(aupro(&images, 1.0), 0.7003887269193392);
    }

    #[test]
    fn aupro_is_one_for_a_perfect_map_and_none_without_defects() {
        let mask = [0, 0, 1, 1, 0, 1];
        let map = [0.1, 0.2, 0.9, 0.8, 0.3, 0.7];
        close(aupro(&[Truth { map: &map, mask: Some(&mask), width: 6 }], 0.3), 1.0);
        assert_eq!(aupro(&[Truth { map: &map, mask: None, width: 6 }], 0.3), None);
        // A flat map says nothing: the one threshold lets all through, and the line to it is the diagonal.
        close(aupro(&[Truth { map: &[0.5; 6], mask: Some(&mask), width: 6 }], 0.3), 0.15);
    }

    #[test]
    fn recall_is_taken_where_good_parts_are_rejected_so_often() {
        // numpy.quantile(good, 0.9) is 0.86.
        let good = [0.1, 0.4, 0.5, 0.8, 0.9];
        close(recall_at(0.1, &good, &[0.85, 0.87, 0.95, 0.2]), 0.5);
        assert_eq!((recall_at(0.1, &[], &[1.0]), recall_at(0.1, &good, &[])), (None, None));
    }

    #[test]
    fn iou_is_overlap_over_union_of_all_images() {
        let mut overlap = MaskOverlap::default();
        assert_eq!(overlap.iou(), None);
        overlap.add(&[255, 255, 0, 0], &[1, 0, 0, 0]);
        overlap.add(&[0, 255], &[1, 1]);
        close(overlap.iou(), 0.5);
    }

    #[test]
    fn what_is_not_at_most_tau_is_rejected() {
        close(rejected(&[0.1, 0.5, 0.6, f32::NAN], 0.5), 0.5);
        close(rejected(&[0.1], f64::NAN), 1.0);
        assert_eq!(rejected(&[], 0.5), None);
    }
}
