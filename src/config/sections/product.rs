//! An entry of `products:`, and `defaults:`, which has the same keys.

use super::build::{Built, RawBuild};
use super::drop::{DropConfig, RawDrop};
use super::health::{HealthConfig, RawHealth};
use super::input::{InputConfig, RawInput};
use super::intake::IntakeConfig;
use super::mask::{MaskConfig, RawMask};
use super::on_ng::{OnNgConfig, RawOnNg};
use super::outputs::{OutputsConfig, RawOutputs};
use super::rebuild::{RawRebuild, RebuildConfig};
use super::retention::{RawRetention, RetentionConfig};
use super::{build, drop, health, input, mask, on_ng, outputs, rebuild, retention};
use crate::config::collector::{Problems, Scope};
use crate::config::values::{FilePath, Word};
use crate::domain::{BuildOptions, DecideBy, SENSITIVITY};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// The form of a name, for the schema.
pub(in crate::config) const NAME: &str = r"^(?!\.{1,2}$)[A-Za-z0-9._-]+$";

/// Letters of a name for people.
const DISPLAY_NAME: usize = 80;

/// Keys of a product that `defaults` cannot set.
pub(in crate::config) const NOT_IN_DEFAULTS: [&str; 5] = ["name", "display_name", "drop", "ok", "bank"];

/// One entry of `products:`, with `defaults:` merged in.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductConfig {
    /// Unique, `[A-Za-z0-9._-]`.
    pub name: String,
    /// The name for people; `None` = none beside `name`.
    pub display_name: Option<String>,
    /// The folders that this product's images arrive in; at least one.
    pub drop: Vec<DropConfig>,
    /// The folder of ok images that the bank is built from.
    pub ok: PathBuf,
    /// The bank folder: versions and links.
    pub bank: PathBuf,
    /// The reference image for the side-by-side picture.
    pub reference: Option<PathBuf>,
    /// How the bank is built.
    pub build: BuildOptions,
    /// True for `build: {preset: guide}`; the bank is then built in float32.
    pub guide: bool,
    /// Fewest ok images that a bank is built from.
    pub min_images: usize,
    /// When the bank is rebuilt.
    pub rebuild: RebuildConfig,
    /// The form that images must have; `None` fields accept all.
    pub input: InputConfig,
    /// Warnings about the camera; `None` fields do not warn.
    pub health: HealthConfig,
    /// Clean-up of the mask.
    pub mask: MaskConfig,
    /// The condition that makes a part `ng`.
    pub decide_by: DecideBy,
    /// The thresholds of the bank are divided by this.
    pub sensitivity: f64,
    /// Files written for each image.
    pub outputs: OutputsConfig,
    /// How long files are kept.
    pub retention: RetentionConfig,
    /// The action on a defect; `None` = nothing.
    pub on_ng: Option<OnNgConfig>,
}

impl ProductConfig {
    /// The name, with that for people behind it.
    pub fn title(&self) -> String {
        match &self.display_name {
            Some(shown) => format!("{} ({shown})", self.name),
            None => self.name.clone(),
        }
    }
}

/// An entry of `products`, and `defaults` (in which the first five keys are refused later).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawProduct {
    /// The unique name of the product. The database uses this name too, so do not change it without need.
    #[schemars(required, regex(pattern = NAME))]
    pub name: Option<String>,
    /// The name for people, in any language, as `전면 검사`. `patchcored status` and `patchcored explain` show it beside `name`; it can be changed at any time.
    #[schemars(length(min = 1, max = DISPLAY_NAME))]
    pub display_name: Option<String>,
    /// The folders that the images of this product arrive in; at least one.
    #[schemars(required, length(min = 1))]
    pub drop: Option<Vec<RawDrop>>,
    /// The folder with images of good parts, at least `build.min_images` of them. Adding or removing images rebuilds the bank. It must not
    /// lie in a drop folder.
    #[schemars(required)]
    pub ok: Option<FilePath>,
    /// The folder for the bank and its earlier versions. The daemon makes it if it is missing. Do not share it with another product.
    #[schemars(required)]
    pub bank: Option<FilePath>,
    /// The golden image for the side-by-side picture.
    pub reference: Option<FilePath>,
    /// How the bank is built. After a change the daemon builds a new bank when `ok` has not changed for `rebuild.quiet_period`. It uses
    /// the old bank until then.
    pub build: Option<RawBuild>,
    /// When the bank is rebuilt after a change in `ok`.
    pub rebuild: Option<RawRebuild>,
    /// What images must look like. An image that does not fit is recorded as failed and gets no decision.
    pub input: Option<RawInput>,
    /// Warnings about the camera, each an `events` row when it begins. The images are decided all the same.
    pub health: Option<RawHealth>,
    /// Clean-up of the mask. Numbers are pixels of the original image.
    pub mask: Option<RawMask>,
    /// What makes a part ng: the image score above its threshold (`image`); any pixel left in the mask (`mask`); or one of the two
    /// (`either`).
    pub decide_by: Option<Word<DecideBy>>,
    /// How strictly parts are judged. The thresholds that the build measured are divided by it: 1.1 rejects more parts, 0.9 fewer. It
    /// counts from the next image on, and nothing is built.
    #[schemars(range(min = SENSITIVITY.0, max = SENSITIVITY.1))]
    pub sensitivity: Option<f64>,
    /// Files written for each image `X.jpg`.
    pub outputs: Option<RawOutputs>,
    /// How long files are kept, and which files may be deleted when a disk has too little space. Only files that the history knows are
    /// deleted. The rows of the history stay, unless `rows` is set.
    pub retention: Option<RawRetention>,
    /// The command for a defect. The daemon starts it once for each ng image when the row of the image is in the database. No image waits
    /// for it.
    pub on_ng: Option<RawOnNg>,
}

/// Checks an entry of `products:`, after `defaults` was merged into it.
pub(in crate::config) fn check(raw: RawProduct, scope: &Scope<'_>, intake: &IntakeConfig, problems: &mut Problems) -> ProductConfig {
    let name = check_name(raw.name, scope, problems);
    let display_name = check_display_name(raw.display_name, scope, problems);
    let drop = drop::check(raw.drop.unwrap_or_default(), scope, intake, problems);
    let ok = problems.required_path(&scope.key("ok"), raw.ok, "/srv/banks/prod1-front/ok");
    let bank = problems.required_path(&scope.key("bank"), raw.bank, "/srv/banks/prod1-front");
    let reference = raw.reference.map(|FilePath(path)| problems.path(&scope.key("reference"), &path));
    let built = build::check(raw.build.unwrap_or_default(), scope, problems);
    let rebuild = rebuild::check(raw.rebuild.unwrap_or_default(), scope, problems);
    let input = input::check(raw.input.unwrap_or_default(), scope, intake, problems);
    let health = health::check(raw.health.unwrap_or_default(), scope, problems);
    let mask = mask::check(raw.mask.unwrap_or_default(), scope, problems);
    let decide_by = raw.decide_by.map(|Word(by)| by).unwrap_or_default();
    let sensitivity = raw.sensitivity.unwrap_or(1.0);
    let (low, high) = SENSITIVITY;
    let message = format!("{sensitivity} is out of range; use {low} to {high}");
    problems.need((low..=high).contains(&sensitivity), scope.key("sensitivity"), message);
    let outputs = outputs::check(raw.outputs.unwrap_or_default(), reference.is_some(), scope, problems);
    let retention = retention::check(raw.retention.unwrap_or_default(), scope, problems);
    let on_ng = on_ng::check(raw.on_ng.unwrap_or_default(), scope, problems);
    let Built { options, guide, min_images } = built;
    ProductConfig {
        name,
        display_name,
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
        sensitivity,
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

fn check_display_name(name: Option<String>, scope: &Scope<'_>, problems: &mut Problems) -> Option<String> {
    let name = name?;
    let fits = (1..=DISPLAY_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control) && name.trim() == name;
    let message = format!("is no name for people; use 1 to {DISPLAY_NAME} letters in one line, without spaces around them");
    problems.need(fits, scope.key("display_name"), message);
    Some(name)
}

/// True for a text that matches [`NAME`].
pub(in crate::config) fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.chars().all(allowed) && name != "." && name != ".."
}

/// Refuses in `defaults` the keys that differ from product to product.
pub(in crate::config) fn refuse_in_defaults(defaults: &RawProduct, problems: &mut Problems) {
    let given =
        [defaults.name.is_some(), defaults.display_name.is_some(), defaults.drop.is_some(), defaults.ok.is_some(), defaults.bank.is_some()];
    for (key, given) in NOT_IN_DEFAULTS.iter().zip(given) {
        problems.need(!given, format!("defaults.{key}"), format!("`{key}` differs from product to product; move it under each product"));
    }
}

/// `defaults` sets nothing that differs from product to product, and requires nothing.
pub(in crate::config) fn without_own_keys(product: &mut Schema) {
    product.remove("required");
    if let Some(Value::Object(properties)) = product.get_mut("properties") {
        for key in NOT_IN_DEFAULTS {
            properties.shift_remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::{check_alone, check_of_product};
    use std::time::Duration;

    fn checked(text: &str) -> (ProductConfig, String) {
        let intake = IntakeConfig { rescan: Duration::from_secs(30), give_up_after: Duration::from_secs(10), max_megapixels: 64 };
        check_of_product(text, |raw, scope, problems| check(raw, scope, &intake, problems))
    }

    #[test]
    fn a_name_for_people_may_have_any_letters() {
        let of = |name: &str| checked(&format!("{{name: a, display_name: \"{name}\", drop: [{{path: /d}}], ok: /o, bank: /b}}"));
        let (product, problems) = of("전면 검사");
        assert_eq!((product.title().as_str(), problems.as_str()), ("a (전면 검사)", ""));
        for wrong in ["", " front", "two\\nlines", &"x".repeat(81)] {
            assert!(of(wrong).1.starts_with("products[0].display_name: is no name for people; use 1 to 80 letters"), "{wrong}");
        }
    }

    #[test]
    fn the_four_keys_of_a_product_are_required() {
        let (product, problems) = checked("{name: a, drop: [{path: /drop}], ok: /a/ok, bank: /a}");
        assert_eq!((product.name.as_str(), product.decide_by, problems.as_str()), ("a", DecideBy::Image, ""));
        assert_eq!((product.reference, product.on_ng, product.sensitivity), (None, None, 1.0));
        let (_, problems) = checked("{}");
        let keys: Vec<&str> = problems.lines().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(keys, ["name", "drop", "ok", "bank"].map(|key| format!("products[0].{key}")));
    }

    #[test]
    fn the_sensitivity_is_near_1() {
        for (value, expected) in
            [("0.1", ""), ("10", ""), ("0", "0 is out"), ("10.1", "10.1 is out"), (".nan", "NaN is out"), ("-1", "-1 is out")]
        {
            let (_, problems) = checked(&format!("{{name: a, drop: [{{path: /drop}}], ok: /a/ok, bank: /a, sensitivity: {value}}}"));
            let begin =
                if expected.is_empty() { String::new() } else { format!("products[0].sensitivity: {expected} of range; use 0.1 to 10") };
            assert!(problems.starts_with(&begin) && problems.is_empty() == expected.is_empty(), "{value}: {problems}");
        }
    }

    #[test]
    fn names_have_letters_digits_and_three_signs() {
        for name in ["a", "prod1-front", "A_b.c", "..."] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "é"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn what_differs_from_product_to_product_is_no_default() {
        let ((), problems) = check_alone("{name: a, ok: /ok}", |raw: RawProduct, problems| refuse_in_defaults(&raw, problems));
        let expected = [
            "defaults.name: `name` differs from product to product; move it under each product",
            "defaults.ok: `ok` differs from product to product; move it under each product",
        ];
        assert_eq!(problems, expected.join("\n"));
    }
}
