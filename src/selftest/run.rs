//! The self-test: plants, judges, counts.

use super::defects::{Footprint, PlantedDefect, grey_range, plant};
use super::places::PartPlaces;
use super::plan::SelfTestPlan;
use super::report::{CellCount, ControlCount, Example, SelfTestReport};
use crate::domain::{Decision, Picture, PlantedKind, error_text};
use crate::imaging::mask::Mask;
use crate::imaging::overlay::to_rgb8;
use crate::inspect::Verdict;
use anyhow::bail;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};

/// What the self-test needs to know of a verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The score.
    pub score: f64,
    /// The threshold that the score was compared with.
    pub tau: f64,
    /// The decision.
    pub decision: Decision,
    /// The mask, as large as the picture.
    pub mask: Mask,
    /// Column and row of the worst place, pixels.
    pub worst: Option<(u32, u32)>,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        let worst = verdict.map.worst_place();
        Self { score: f64::from(verdict.image_score), tau: verdict.tau.image, decision: verdict.decision, mask: verdict.mask, worst }
    }
}

/// How far the self-test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfTestProgress {
    /// Pictures judged.
    pub done: u64,
    /// Pictures to judge.
    pub total: u64,
}

/// Judges the pictures as they are, and then with each defect of the plan. The same plan, pictures and scorer give the same report.
///
/// `scorer` judges a picture, `read` reads one of `paths`. Images that cannot be read or judged, and images that are `ng` as they are, are
/// named in the report and left out. Of more than `plan.images`, it takes some that are spread evenly.
///
/// # Errors
/// No image is left, none of the sizes fits into one, or the scorer fails on a picture whose original it judged.
pub fn self_test(
    scorer: &impl Fn(&Picture) -> anyhow::Result<Judged>,
    paths: &[PathBuf],
    read: &impl Fn(&Path) -> anyhow::Result<Picture>,
    plan: &SelfTestPlan,
    progress: &mut impl FnMut(SelfTestProgress),
) -> anyhow::Result<SelfTestReport> {
    let mut report = SelfTestReport { seed: plan.seed, medium_contrast: plan.medium_contrast(), ..SelfTestReport::default() };
    let (mut good, mut short_side) = (Vec::new(), u32::MAX);
    for path in spread(paths, plan.images) {
        match read(path).and_then(|picture| Ok((scorer(&picture)?, picture))) {
            Ok((judged, picture)) if judged.decision == Decision::Ok => {
                short_side = short_side.min(picture.width.min(picture.height));
                good.push((path, judged.score));
            }
            Ok(_) => report.ng_before.push(path.display().to_string()),
            Err(error) => report.left_out.push(format!("{}: {}", path.display(), error_text(&error))),
        }
    }
    if good.is_empty() {
        let first = report.left_out.first().map_or("all are ng without a defect", String::as_str);
        bail!("no image to plant defects into: of {} images, none can be used and is decided ok; {first}", paths.len());
    }
    let sizes = plan.sizes_for(short_side);
    let Some(&largest) = sizes.last() else {
        bail!("no size fits: a defect is at most half as large as the short side of the smallest image, {short_side} pixels");
    };
    report.images = good.len();
    report.found_at = vec![0; plan.placements as usize];
    let mut tally = Tally::new(plan, &sizes);
    let mut done = SelfTestProgress { done: 0, total: u64::from(plan.placements) * (tally.cells.len() as u64 + 1) };
    for (number, (path, score_before)) in good.iter().enumerate() {
        let numbers = (number as u32..plan.placements).step_by(good.len());
        if numbers.len() == 0 {
            break;
        }
        let target = Target::new(read(path)?);
        for number in numbers {
            let placement = target.placement(plan.seed, number, largest);
            let (picture, _) = target.plant(PlantedKind::None, largest, report.medium_contrast, &placement);
            tally.control(&scorer(&picture)?, *score_before);
            done.done += 1;
            progress(done);
            for i in 0..tally.cells.len() {
                let CellCount { kind, length, contrast, .. } = tally.cells[i].count;
                let (picture, footprint) = target.plant(kind, length, contrast, &placement);
                let judged = scorer(&picture)?;
                tally.count(i, &judged, &footprint);
                let found = judged.decision == Decision::Ng;
                report.found_at[number as usize] += u32::from(found);
                if number == 0 && contrast.to_bits() == report.medium_contrast.to_bits() {
                    report.examples.push(Example { kind, size: length, found, picture: around(&picture, placement.centre, length) });
                }
                done.done += 1;
                progress(done);
            }
        }
    }
    report.control = tally.control;
    report.cells = tally.cells.into_iter().map(CellScores::close).collect();
    report.smallest = plan.kinds.iter().map(|&kind| report.smallest_found(kind, report.medium_contrast)).collect();
    Ok(report)
}

/// At most `most` of the paths, evenly spread.
fn spread(paths: &[PathBuf], most: usize) -> impl Iterator<Item = &PathBuf> {
    let taken = most.min(paths.len());
    (0..taken).map(move |i| &paths[i * paths.len() / taken])
}

/// A picture that defects are planted into.
struct Target {
    picture: Picture,
    places: PartPlaces,
    grey_range: f32,
}

/// Place and form of a defect. All kinds, sizes and contrasts of one number lie in the same place, so that they can be compared.
struct Placement {
    centre: (u32, u32),
    seed: u64,
}

impl Target {
    fn new(picture: Picture) -> Self {
        Self { places: PartPlaces::find(&picture), grey_range: grey_range(&picture), picture }
    }

    fn placement(&self, seed: u64, number: u32, largest: u32) -> Placement {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::from(number));
        Placement { centre: self.places.draw(largest.div_ceil(2) + 2, &mut rng), seed: rng.random() }
    }

    fn plant(&self, kind: PlantedKind, size: u32, contrast: f64, placement: &Placement) -> (Picture, Footprint) {
        let Placement { centre, seed } = *placement;
        plant(&self.picture, &PlantedDefect { kind, size, contrast, centre, seed }, self.grey_range)
    }
}

/// The part of the short side within which a worst place counts as on the defect: about one place of the network's grid.
const NEAR: u32 = 32;

struct CellScores {
    count: CellCount,
    ratios: Vec<f64>,
}

impl CellScores {
    fn close(mut self) -> CellCount {
        self.ratios.sort_unstable_by(f64::total_cmp);
        self.count.median_ratio = self.ratios.get(self.ratios.len() / 2).copied().filter(|ratio| ratio.is_finite());
        self.count
    }
}

struct Tally {
    cells: Vec<CellScores>,
    control: ControlCount,
}

impl Tally {
    fn new(plan: &SelfTestPlan, sizes: &[u32]) -> Self {
        let mut cells = Vec::new();
        for &kind in &plan.kinds {
            for contrast in plan.sorted_contrasts() {
                cells.extend(sizes.iter().map(|&size| {
                    let (length, width) = kind.extent(size);
                    let count = CellCount { kind, length, width, contrast, planted: 0, found: 0, located: 0, median_ratio: None };
                    CellScores { count, ratios: Vec::new() }
                }));
            }
        }
        Self { cells, control: ControlCount::default() }
    }

    fn control(&mut self, judged: &Judged, score_before: f64) {
        self.control.planted += 1;
        self.control.found += u32::from(judged.decision == Decision::Ng);
        self.control.largest_change = self.control.largest_change.max((judged.score - score_before).abs());
    }

    fn count(&mut self, cell: usize, judged: &Judged, footprint: &Footprint) {
        let CellScores { count, ratios } = &mut self.cells[cell];
        count.planted += 1;
        ratios.push(judged.score / judged.tau);
        if judged.decision == Decision::Ng {
            count.found += 1;
            count.located += u32::from(lies_on(judged, footprint));
        }
    }
}

/// Whether the mask or the worst place lies on the defect, or next to it.
fn lies_on(judged: &Judged, footprint: &Footprint) -> bool {
    let Judged { mask, worst, .. } = judged;
    let near = mask.width.min(mask.height) / NEAR;
    let (left, top) = (footprint.left.saturating_sub(near), footprint.top.saturating_sub(near));
    let (right, bottom) = (footprint.left + footprint.width + near, footprint.top + footprint.height + near);
    let (columns, rows) = (left..right.min(mask.width), top..bottom.min(mask.height));
    let row = |y: u32| &mask.pixels[(y * mask.width + columns.start) as usize..(y * mask.width + columns.end) as usize];
    let in_mask = rows.clone().any(|y| row(y).iter().any(|&pixel| pixel != 0));
    in_mask || worst.is_some_and(|(x, y)| columns.contains(&x) && rows.contains(&y))
}

/// A square of the picture around a defect: three times as large, and at least a tenth of the short side.
fn around(picture: &Picture, (x, y): (u32, u32), size: u32) -> image::RgbImage {
    let short_side = picture.width.min(picture.height);
    let side = (3 * size).max(short_side / 10).min(short_side);
    let corner = |at: u32, length: u32| at.saturating_sub(side / 2).min(length - side);
    let (left, top) = (corner(x, picture.width), corner(y, picture.height));
    image::imageops::crop_imm(&to_rgb8(picture), left, top, side, side).to_image()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Samples;

    /// An even gray part on a dark ground; the number makes it a little brighter.
    fn part(number: u8) -> Picture {
        let inside = |i: u32| (40..160).contains(&(i % 200)) && (30..120).contains(&(i / 200));
        let samples = Samples::U8((0..200 * 150).map(|i| if inside(i) { 120 + number } else { 30 }).collect());
        Picture { width: 200, height: 150, channels: 1, bit_depth: 8, samples }
    }

    fn read(path: &Path) -> anyhow::Result<Picture> {
        match path.to_string_lossy().parse() {
            Ok(number) => Ok(part(number)),
            Err(_) => bail!("is no image"),
        }
    }

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    /// Scores the number of pixels that lie far from their neighbour on the left, within the part; finds those of more than 15 steps.
    fn scorer(picture: &Picture) -> anyhow::Result<Judged> {
        let Samples::U8(samples) = &picture.samples else { bail!("has 16 bits") };
        let step = |i: usize| samples[i].abs_diff(samples[i - 1]) > 15 && i % 200 > 45 && i % 200 < 155;
        let pixels: Vec<u8> = (0..samples.len()).map(|i| if i > 0 && step(i) { 255 } else { 0 }).collect();
        let area = pixels.iter().filter(|&&p| p != 0).count();
        let worst = pixels.iter().position(|&p| p != 0).map(|i| (i as u32 % 200, i as u32 / 200));
        let decision = if area > 0 || samples[200 * 60 + 100] > 220 { Decision::Ng } else { Decision::Ok };
        let mask = Mask { width: 200, height: 150, pixels, area: area as u64, regions: 0 };
        Ok(Judged { score: area as f64, tau: 0.5, decision, mask, worst })
    }

    fn plan() -> SelfTestPlan {
        let kinds = vec![PlantedKind::Spot, PlantedKind::Dent];
        SelfTestPlan { kinds, sizes: vec![6, 12], contrasts: vec![5.0, 60.0, 70.0], placements: 8, images: 3, seed: 4 }
    }

    #[test]
    fn strong_defects_are_found_in_their_place_and_weak_ones_are_not() {
        let mut seen = Vec::new();
        let report = self_test(&scorer, &paths(&["1", "2", "3"]), &read, &plan(), &mut |step| seen.push(step)).unwrap();
        assert_eq!((report.images, report.medium_contrast, report.cells.len()), (3, 60.0, 12));
        for cell in &report.cells {
            assert_eq!(cell.planted, 8, "{cell:?}");
            let expected = if cell.contrast < 10.0 { 0 } else { 8 };
            if cell.kind == PlantedKind::Spot {
                assert_eq!((cell.found, cell.located), (expected, expected), "{cell:?}");
            }
        }
        assert_eq!(report.control, ControlCount { planted: 8, found: 0, largest_change: 0.0 });
        let spot = report.smallest[0].cell.as_ref().unwrap();
        assert_eq!((report.smallest[0].kind, spot.length, spot.contrast), (PlantedKind::Spot, 6, 60.0));
        assert_eq!(report.examples.len(), 4);
        let found: u32 = report.cells.iter().map(|cell| cell.found).sum();
        assert_eq!((report.found_at.len(), report.found_at.iter().sum::<u32>()), (8, found));
        assert_eq!((seen.len(), seen.last().unwrap().done, seen[0].total), (104, 104, 104));
    }

    #[test]
    fn the_same_seed_gives_the_same_report() {
        let with = |seed| self_test(&scorer, &paths(&["1", "2"]), &read, &SelfTestPlan { seed, ..plan() }, &mut |_| ()).unwrap();
        assert_eq!(with(1), with(1));
        assert_ne!(with(1).examples, with(2).examples);
    }

    #[test]
    fn images_that_are_bad_or_no_images_are_left_out_by_name() {
        let report = self_test(&scorer, &paths(&["1", "x.png", "110"]), &read, &plan(), &mut |_| ()).unwrap();
        assert_eq!((report.images, report.ng_before), (1, vec!["110".to_owned()]));
        assert_eq!(report.left_out, ["x.png: is no image"]);
        let error = self_test(&scorer, &paths(&["x.png"]), &read, &plan(), &mut |_| ()).unwrap_err().to_string();
        assert!(error.contains("none can be used") && error.contains("x.png: is no image"), "{error}");
        let large = SelfTestPlan { sizes: vec![100], ..plan() };
        assert!(self_test(&scorer, &paths(&["1"]), &read, &large, &mut |_| ()).unwrap_err().to_string().contains("150 pixels"));
    }

    #[test]
    fn images_are_spread_over_the_folder() {
        let all: Vec<PathBuf> = (0..10).map(|i| PathBuf::from(i.to_string())).collect();
        let taken: Vec<&str> = spread(&all, 3).map(|path| path.to_str().unwrap()).collect();
        assert_eq!(taken, ["0", "3", "6"]);
        assert_eq!((spread(&all, 50).count(), spread(&[], 5).count()), (10, 0));
    }
}
