//! An entry of `products:`

use super::check::{Problems, Scope};
use super::raw::{RawHealth, RawInput, RawMask, RawOutputs, RawProduct, RawRebuild, Span, Word};
use super::{
    HealthConfig, InputConfig, IntakeConfig, MaskConfig, OutputsConfig, ProductConfig, RebuildConfig, build, drops, on_ng, retention,
};
use std::time::Duration;

/// What a name looks like; the schema says so, too.
pub(super) const NAME: &str = r"^(?!\.{1,2}$)[A-Za-z0-9._-]+$";

/// Smallest and largest value that is accepted, here and in the schema.
pub(super) const REBUILD: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(7 * 24 * 3600));
pub(super) const KEEP_VERSIONS: (u32, u32) = (1, 999_999);
pub(super) const BIT_DEPTH: (u32, u32) = (8, 16);
pub(super) const BLACK: (u32, u32) = (1, 99);
pub(super) const SATURATED: (u32, u32) = (1, 100);
pub(super) const FROZEN: (u32, u32) = (2, 1000);
/// A larger radius for `open` or `close` is a slip of the keyboard and would take seconds per image.
pub(super) const RADIUS: (u32, u32) = (0, 200);

/// The channels that a file may have.
pub(super) const CHANNELS: [u8; 3] = [1, 3, 4];

pub(super) fn check(raw: RawProduct, scope: &Scope<'_>, intake: &IntakeConfig, problems: &mut Problems) -> ProductConfig {
    let name = check_name(raw.name, scope, problems);
    let drop = drops::check(raw.drop.unwrap_or_default(), scope, intake, problems);
    let ok = problems.required_path(&scope.key("ok"), raw.ok, "/srv/banks/prod1-front/ok");
    let bank = problems.required_path(&scope.key("bank"), raw.bank, "/srv/banks/prod1-front");
    let reference = raw.reference.map(|path| problems.path(&scope.key("reference"), &path));
    let built = build::check(raw.build.unwrap_or_default(), scope, problems);
    let rebuild = check_rebuild(raw.rebuild.unwrap_or_default(), scope, problems);
    let input = check_input(raw.input.unwrap_or_default(), scope, intake, problems);
    let health = check_health(raw.health.unwrap_or_default(), scope, problems);
    let mask = check_mask(raw.mask.unwrap_or_default(), scope, problems);
    let decide_by = raw.decide_by.map(|Word(by)| by).unwrap_or_default();
    let outputs = check_outputs(raw.outputs.unwrap_or_default(), reference.is_some(), scope, problems);
    let retention = retention::check(raw.retention.unwrap_or_default(), scope, problems);
    let on_ng = on_ng::check(raw.on_ng.unwrap_or_default(), scope, problems);
    let build::Built { options, guide, min_images } = built;
    ProductConfig {
        name,
        drop,
        ok,
        bank,
        reference,
        build: options,
        guide,
        min_images,
        rebuild,
        input,
        health,
        mask,
        decide_by,
        outputs,
        retention,
        on_ng,
    }
}

fn check_name(name: Option<String>, scope: &Scope<'_>, problems: &mut Problems) -> String {
    let key = scope.key("name");
    let Some(name) = name else {
        problems.add(key, "is required; write for example `name: prod1-front`");
        return String::new();
    };
    problems.need(is_name(&name), key, format!("`{name}` is no name; use the letters A-Z a-z, the digits, `.`, `_` and `-`"));
    name
}

/// True for what [`NAME`] describes.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.chars().all(allowed) && name != "." && name != ".."
}

fn check_rebuild(raw: RawRebuild, scope: &Scope<'_>, problems: &mut Problems) -> RebuildConfig {
    let quiet_period = raw.quiet_period.map_or(Duration::from_secs(30), |Span(s)| s);
    let max_wait = raw.max_wait.map_or(Duration::from_secs(600), |Span(s)| s);
    problems.need_span(scope.key("rebuild.quiet_period"), quiet_period, REBUILD);
    problems.need_span(scope.key("rebuild.max_wait"), max_wait, REBUILD);
    let message = format!(
        "{} is shorter than the quiet_period of {}; make it at least as long",
        super::duration::show(max_wait),
        super::duration::show(quiet_period)
    );
    problems.need(max_wait >= quiet_period, scope.key("rebuild.max_wait"), message);
    let keep_versions = raw.keep_versions.unwrap_or(5);
    problems.need_range(scope.key("rebuild.keep_versions"), keep_versions, KEEP_VERSIONS, " versions");
    RebuildConfig { quiet_period, max_wait, keep_versions: keep_versions as usize }
}

fn check_input(raw: RawInput, scope: &Scope<'_>, intake: &IntakeConfig, problems: &mut Problems) -> InputConfig {
    let RawInput { width, height, channels, bit_depth } = raw;
    for (key, side) in [("input.width", width), ("input.height", height)] {
        problems.need(side != Some(0), scope.key(key), "0 would refuse every image; write the pixels, or leave it out to accept all");
    }
    if let (Some(w), Some(h)) = (width, height) {
        let fits = u64::from(w) * u64::from(h) <= u64::from(intake.max_megapixels) * 1_000_000;
        let message = format!(
            "{w} x {h} pixels are more than intake.max_megapixels ({}), so every image would be refused; raise that",
            intake.max_megapixels
        );
        problems.need(fits, scope.key("input.width"), message);
    }
    let shown = channels.unwrap_or(1);
    problems.need(
        CHANNELS.contains(&shown),
        scope.key("input.channels"),
        format!("{shown} is not possible; use 1 (gray), 3 (RGB) or 4 (RGBA), or leave it out to accept all"),
    );
    problems.need_range(scope.key("input.bit_depth"), bit_depth.map_or(8, u32::from), BIT_DEPTH, " bits per sample");
    InputConfig { width, height, channels, bit_depth }
}

fn check_health(raw: RawHealth, scope: &Scope<'_>, problems: &mut Problems) -> HealthConfig {
    let RawHealth { black, saturated, frozen } = raw;
    for (key, value, bounds, unit) in [
        ("health.black", black, BLACK, " percent of full brightness"),
        ("health.saturated", saturated, SATURATED, " percent of the pixels"),
        ("health.frozen", frozen, FROZEN, " images"),
    ] {
        problems.need_range(scope.key(key), value.unwrap_or(bounds.0), bounds, &format!("{unit}, or leave it out"));
    }
    HealthConfig { black, saturated, frozen }
}

fn check_mask(raw: RawMask, scope: &Scope<'_>, problems: &mut Problems) -> MaskConfig {
    let mask = MaskConfig { open: raw.open.unwrap_or(0), close: raw.close.unwrap_or(0), min_area: raw.min_area.unwrap_or(0) };
    problems.need_range(scope.key("mask.open"), mask.open, RADIUS, " pixels (0 = off)");
    problems.need_range(scope.key("mask.close"), mask.close, RADIUS, " pixels (0 = off)");
    mask
}

fn check_outputs(raw: RawOutputs, has_reference: bool, scope: &Scope<'_>, problems: &mut Problems) -> OutputsConfig {
    let outputs = OutputsConfig {
        mask: raw.mask.unwrap_or(true),
        overlay: raw.overlay.unwrap_or(true),
        heat: raw.heat.unwrap_or(false),
        side_by_side: raw.side_by_side.unwrap_or(false),
        scores: raw.scores.unwrap_or(false),
        dir: raw.dir.map(|dir| problems.path(&scope.key("outputs.dir"), &dir)),
    };
    problems.need(
        has_reference || !outputs.side_by_side,
        scope.key("outputs.side_by_side"),
        "needs a golden image to show; add `reference: /path/to/golden.jpg` to the product, or set it to false",
    );
    outputs
}
