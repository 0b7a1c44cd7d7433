//! The comparison: one candidate after the other, as long as there is time.

use super::candidates::changes;
use super::changes::Change;
use super::measure::{MeasuredBank, TuneBench};
use super::recommend::recommend;
use super::report::{Measured, NotTried, TuneReport, TunedCandidate};
use super::settings::BuildSettings;
use super::split::split;
use crate::banks::list_images;
use crate::config::{Config, ProductConfig};
use crate::domain::{Backbone, error_text};
use crate::patchcore::find_weights;
use anyhow::Context;
use rustix::process::nice;
use std::time::{Duration, Instant};

/// Changes that are tried together at most.
const TOGETHER: usize = 4;

/// The limits of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct TuneLimits {
    /// The most time that one image may take; `None` = any.
    pub budget: Option<Duration>,
    /// The time for the comparison. A candidate that would run past its end is not begun.
    pub time: Duration,
}

/// Compares settings for the bank of a product and recommends some. It reads the ok folder and writes only to a temporary folder, which it
/// removes. The process goes to low priority. `progress` is told what is measured next.
///
/// # Errors
/// An ok folder that cannot be listed or has too few images, no temporary folder, or settings in use that cannot be measured: missing
/// weights, or no usable image.
pub fn tune(config: &Config, product: &ProductConfig, limits: TuneLimits, progress: &mut impl FnMut(&str)) -> anyhow::Result<TuneReport> {
    let end = Instant::now() + limits.time;
    nice(10).context("cannot lower the priority")?;
    let paths = list_images(&product.ok).with_context(|| format!("{}: cannot list the ok folder", product.ok.display()))?;
    let halves = split(&product.ok, &paths, &product.build.groups)?;
    let bench = TuneBench::new(config, product, halves)?;
    let current = BuildSettings::of(product);
    let mut comparison = RunningComparison {
        measure: |settings: &BuildSettings, most| bench.measure(settings, most),
        limits,
        end,
        last: Duration::ZERO,
        current,
    };
    comparison.compare(&product.name, &with_weights(config), progress)
}

/// The backbones whose weights are found, and those whose are not.
struct KnownBackbones {
    with: Vec<Backbone>,
    without: Vec<Backbone>,
}

fn with_weights(config: &Config) -> KnownBackbones {
    let found = |backbone: &Backbone| find_weights(*backbone, config.engine.weights.get(backbone).map(AsRef::as_ref)).is_ok();
    let (with, without) = Backbone::ALL.iter().partition(|backbone| found(backbone));
    KnownBackbones { with, without }
}

struct RunningComparison<M> {
    measure: M,
    limits: TuneLimits,
    end: Instant,
    /// What the last candidate took.
    last: Duration,
    current: BuildSettings,
}

impl<M: Fn(&BuildSettings, Option<Duration>) -> anyhow::Result<MeasuredBank>> RunningComparison<M> {
    fn compare(&mut self, product: &str, backbones: &KnownBackbones, progress: &mut impl FnMut(&str)) -> anyhow::Result<TuneReport> {
        let current = self.current.clone();
        progress("as configured");
        // What they find is what others are compared with, also when they take too long.
        let MeasuredBank { measured, bank_images, unusable } = self.measured(&current, None)?;
        let mut report = TuneReport {
            product: product.to_owned(),
            bank_images,
            budget_ms: self.limits.budget.map(|budget| budget.as_secs_f64() * 1000.0),
            candidates: vec![self.candidate(&current, measured)],
            not_tried: Vec::new(),
            unusable,
            recommended: 0,
            advice: String::new(),
        };
        let mut singles = changes(&current, &backbones.with);
        if !report.candidates[0].within_budget {
            singles.sort_by_key(|change| change.is_slower(&current.options));
        }
        // Which candidate each change became.
        let mut better: Vec<(usize, Change)> = Vec::new();
        for change in singles {
            let Some(number) = self.try_one(std::slice::from_ref(&change), &mut report, progress) else { continue };
            if report.candidates[number].is_eligible() && self.is_better(&report, number, 0) {
                better.push((number, change));
            }
        }
        self.combine(better, &mut report, progress);
        if !backbones.without.is_empty() {
            let names: Vec<&str> = backbones.without.iter().map(|backbone| backbone.as_str()).collect();
            let reason = "no weights found; `engine.weights` names a file, and docs/by-hand.md says where to get it".to_owned();
            report.not_tried.push(NotTried { settings: format!("backbone: {}", names.join(", ")), reason });
        }
        (report.recommended, report.advice) = recommend(&report.candidates, self.limits.budget);
        Ok(report)
    }

    /// The best change, with the next best ones added one after the other as long as it helps.
    fn combine(&mut self, mut better: Vec<(usize, Change)>, report: &mut TuneReport, progress: &mut impl FnMut(&str)) {
        better.sort_by(|(a, _), (b, _)| share(report, *b).total_cmp(&share(report, *a)));
        let mut rest = better.into_iter().take(TOGETHER);
        let Some((mut best, change)) = rest.next() else { return };
        let mut together = vec![change];
        for (_, change) in rest {
            if together.iter().any(|other| other.is_of_the_key_of(&change)) {
                continue;
            }
            together.push(change);
            match self.try_one(&together, report, progress) {
                Some(number) if report.candidates[number].is_eligible() && self.is_better(report, number, best) => best = number,
                _ => _ = together.pop(),
            }
        }
    }

    fn is_better(&self, report: &TuneReport, new: usize, old: usize) -> bool {
        !report.candidates[old].is_eligible() || share(report, new) > share(report, old)
    }

    /// Measures the settings in use with these changes, and gives the number of the candidate. If there is no time, or if it cannot be
    /// measured, the report says so.
    fn try_one(&mut self, changes: &[Change], report: &mut TuneReport, progress: &mut impl FnMut(&str)) -> Option<usize> {
        let settings = self.current.with(changes)?;
        let name = settings.changes_from(&self.current);
        let not_tried = |reason| NotTried { settings: name.clone(), reason };
        if Instant::now() + self.last > self.end {
            let minutes = self.limits.time.as_secs() / 60;
            report.not_tried.push(not_tried(format!("no time is left of {minutes} min; give more with --minutes")));
            return None;
        }
        progress(&name);
        match self.measured(&settings, self.limits.budget) {
            Ok(bank) => {
                report.candidates.push(self.candidate(&settings, bank.measured));
                Some(report.candidates.len() - 1)
            }
            Err(error) => {
                report.not_tried.push(not_tried(error_text(&error)));
                None
            }
        }
    }

    fn measured(&mut self, settings: &BuildSettings, most: Option<Duration>) -> anyhow::Result<MeasuredBank> {
        let begin = Instant::now();
        let measured = (self.measure)(settings, most);
        self.last = begin.elapsed();
        measured
    }

    fn candidate(&self, settings: &BuildSettings, measured: Measured) -> TunedCandidate {
        let budget = self.limits.budget.map(|budget| budget.as_secs_f64() * 1000.0);
        TunedCandidate {
            settings: settings.changes_from(&self.current),
            yaml: settings.yaml(),
            within_budget: budget.is_none_or(|budget| measured.ms_per_image <= budget),
            as_promised: measured.keeps_promise(),
            measured,
        }
    }
}

fn share(report: &TuneReport, number: usize) -> f64 {
    report.candidates[number].measured.share()
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;
    use crate::domain::BuildOptions;

    /// Larger images and a finer grid find more and take longer.
    fn made_up(settings: &BuildSettings, _most: Option<Duration>) -> anyhow::Result<MeasuredBank> {
        let BuildOptions { shorter, stride, layers, .. } = &settings.options;
        anyhow::ensure!(layers.len() == 3, "needs three layers");
        let at_place = shorter / 64 + 4 / stride;
        let measured = Measured {
            found: 8 * at_place,
            planted: 8 * 36,
            found_at: vec![at_place; 8],
            held_out: 20,
            image_pct: 0.98,
            ms_per_image: f64::from(shorter / stride) / 4.0,
            ..Measured::default()
        };
        Ok(MeasuredBank { measured, bank_images: 20, unusable: Vec::new() })
    }

    fn compared(budget: Option<u64>, seconds: u64) -> TuneReport {
        let limits = TuneLimits { budget: budget.map(Duration::from_millis), time: Duration::from_secs(seconds) };
        let (end, current) = (Instant::now() + limits.time, settings("{}"));
        let mut comparison = RunningComparison { measure: made_up, limits, end, last: Duration::ZERO, current };
        let backbones = KnownBackbones { with: vec![Backbone::Resnet50], without: vec![Backbone::Resnet18] };
        comparison.compare("disc", &backbones, &mut |_| ()).unwrap()
    }

    fn names(report: &TuneReport) -> Vec<&str> {
        report.candidates.iter().map(|candidate| candidate.settings.as_str()).collect()
    }

    #[test]
    fn the_best_changes_are_tried_together() {
        let report = compared(None, 60);
        let expected = [
            "as configured",
            "shorter: 768",
            "stride: 1",
            "layers: [layer1, layer2, layer3]",
            "shorter: 384",
            "score: guide",
            "shorter: 768, stride: 1",
        ];
        assert_eq!(names(&report), expected);
        assert_eq!((report.recommended, report.candidates[6].yaml.as_str()), (6, "build:\n  shorter: 768\n  stride: 1\n"));
        let begin = |reason: &str| reason.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let not_tried: Vec<_> = report.not_tried.iter().map(|not| (not.settings.as_str(), begin(&not.reason))).collect();
        assert_eq!(not_tried, [("layers: [layer2, layer3]", "needs three".into()), ("backbone: resnet18", "no weights".into())]);
    }

    #[test]
    fn within_a_budget_what_is_faster_comes_first() {
        // As configured it takes 64 ms, with shorter 384 48 ms.
        let report = compared(Some(50), 60);
        assert_eq!(names(&report)[..3], ["as configured", "shorter: 384", "score: guide"]);
        assert_eq!((report.recommended, report.candidates[1].within_budget, report.candidates[0].within_budget), (1, true, false));
        assert!(names(&report).iter().all(|name| !name.contains("shorter: 768, stride: 1")));
    }

    #[test]
    fn without_time_only_the_settings_in_use_are_measured() {
        let report = compared(None, 0);
        assert_eq!((names(&report), report.recommended), (vec!["as configured"], 0));
        assert_eq!(report.not_tried.len(), 7);
        assert!(report.not_tried[0].reason.contains("--minutes"));
    }
}
