//! Warnings about a camera, from its images: black, overexposed, or the same image again and again.

use crate::codes::EventKind;
use crate::config::HealthConfig;
use crate::imaging::exposure::Exposure;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The recent images of each camera (a drop folder of a product).
#[derive(Debug, Default)]
pub struct CameraHealth {
    cameras: Mutex<HashMap<(String, PathBuf), Streaks>>,
}

/// A warning: the kind of event, and why.
pub type Warning = (EventKind, String);

impl CameraHealth {
    /// Takes each decided image once, and returns new warnings. A streak gives a warning when it begins, not with every image.
    pub fn observe(&self, product: &str, folder: &Path, config: &HealthConfig, seen: &Exposure) -> Vec<Warning> {
        let mut cameras = self.cameras.lock();
        cameras.entry((product.to_owned(), folder.to_owned())).or_default().observe(config, seen)
    }

    /// The camera wrote its last image again, byte for byte; the daemon does not decide it again.
    pub fn repeated(&self, product: &str, folder: &Path, config: &HealthConfig) -> Vec<Warning> {
        let mut cameras = self.cameras.lock();
        let streaks = cameras.get_mut(&(product.to_owned(), folder.to_owned()));
        streaks.and_then(|streaks| streaks.repeated(config)).into_iter().collect()
    }
}

#[derive(Debug, Default)]
struct Streaks {
    black: bool,
    saturated: bool,
    /// The hash of the last image, and how often it came in a row.
    last: Option<([u8; 32], u32)>,
}

impl Streaks {
    fn observe(&mut self, config: &HealthConfig, seen: &Exposure) -> Vec<Warning> {
        let mut news = Vec::new();
        if let Some(limit) = config.black {
            let black = seen.mean < f64::from(limit);
            if black && !self.black {
                news.push((
                    EventKind::ImageBlack,
                    format!("mean brightness {:.1} %, below health.black: {limit}; check lamp and lens", seen.mean),
                ));
            }
            self.black = black;
        }
        if let Some(limit) = config.saturated {
            let saturated = seen.saturated >= f64::from(limit);
            if saturated && !self.saturated {
                let detail = format!(
                    "{:.1} % of it at full scale, not below health.saturated: {limit}; check exposure and stray light",
                    seen.saturated
                );
                news.push((EventKind::ImageSaturated, detail));
            }
            self.saturated = saturated;
        }
        if config.frozen.is_some() {
            if self.last.is_none_or(|(fingerprint, _)| fingerprint != seen.fingerprint) {
                self.last = Some((seen.fingerprint, 0));
            }
            news.extend(self.repeated(config));
        }
        news
    }

    /// The last image came, for the first time or again.
    fn repeated(&mut self, config: &HealthConfig) -> Option<Warning> {
        let (_, count) = self.last.as_mut()?;
        *count = count.saturating_add(1);
        let text = || format!("the same picture {count} times in a row; check camera and grabbing software");
        (Some(*count) == config.frozen).then(|| (EventKind::CameraFrozen, text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_streak_is_news_once() {
        let config = HealthConfig { black: Some(2), saturated: Some(50), frozen: Some(3) };
        let seen = |mean, saturated, picture| Exposure { mean, saturated, fingerprint: [picture; 32] };
        let mut streaks = Streaks::default();
        let mut kinds = |seen| streaks.observe(&config, &seen).into_iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>();
        assert_eq!(kinds(seen(1.9, 0.0, 1)), ["image_black"]);
        assert_eq!(kinds(seen(1.9, 0.0, 1)), [""; 0]);
        assert_eq!(kinds(seen(2.0, 50.0, 1)), ["image_saturated", "camera_frozen"]);
        assert_eq!(kinds(seen(2.0, 50.0, 1)), [""; 0]);
        assert_eq!(kinds(seen(1.0, 49.9, 2)), ["image_black"]);
        for _ in 0..2 {
            assert_eq!(kinds(seen(50.0, 0.0, 1)), [""; 0], "an interrupted streak starts anew");
        }
        assert_eq!(kinds(seen(50.0, 0.0, 1)), ["camera_frozen"]);
        let mut streaks = Streaks::default();
        assert_eq!(streaks.repeated(&config), None, "nothing was seen yet");
        streaks.observe(&config, &seen(50.0, 0.0, 1));
        assert_eq!(streaks.repeated(&config), None);
        assert_eq!(streaks.repeated(&config).map(|(kind, _)| kind), Some(EventKind::CameraFrozen));
        assert!(Streaks::default().observe(&HealthConfig::default(), &seen(0.0, 100.0, 1)).is_empty(), "off by default");
    }
}
