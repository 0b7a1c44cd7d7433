//! The fingerprint that tells whether a bank was built from exactly this ok folder with exactly these options.
//!
//! `bank_config.json` and the table `banks` keep it, and later versions of this program read it. If its text changed, the daemon would
//! rebuild every bank and end the hold of every rollback. So its form has a number and never depends on names in the program.
//!
//! - Form 3, which is written: `3:` and a hash over the options whose values form 3 does not leave out, and over the files.
//! - Form 2, which the program wrote before banks were scored by levels, and which is only recognised: `2:` and a hash of the same kind.
//! - Form 1, which version 0.1.0 wrote and which is only recognised: a bare hash over all options of that time, and over the files.
//!
//! Forms 1 and 2 were written when the largest distance was the only way of scoring. A bank of that time stays in use under a configuration
//! that does not name a way of scoring: its options are those that the same configuration meant then.
//!
//! A new option gets a line in [`options_in_form_3`], with the value that banks had before the option existed.

use crate::domain::{Backbone, BuildOptions, Calibration, CoresetMethod, Grouping, Layer, ScoreMethod};
use std::fmt;

/// The start of every fingerprint of form 3.
const FORM_3: &str = "3:";
/// The start of every fingerprint of form 2.
const FORM_2: &str = "2:";

/// The fingerprint of an ok folder and the options as they are now. It is written as its [`Display`](fmt::Display) text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    form_3: String,
    /// The same in the forms that are only recognised, as far as they know the options.
    earlier: Vec<String>,
}

impl Fingerprint {
    /// `files` adds everything that matters of the files to a hash.
    pub(super) fn of(options: &BuildOptions, files: impl Fn(&mut blake3::Hasher)) -> Self {
        let hash = |options: String| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(options.as_bytes()).update(b"\0");
            files(&mut hasher);
            hasher.finalize().to_hex().to_string()
        };
        let before = before_levels(options);
        let form_2 = Some(format!("{FORM_2}{}", hash(options_in_form_2(&before))));
        let form_1 = options_in_form_1(&before).map(hash);
        Self { form_3: format!("{FORM_3}{}", hash(options_in_form_3(options))), earlier: form_2.into_iter().chain(form_1).collect() }
    }

    /// True when `stored`, in any form, was made of the same files and options.
    pub fn matches(&self, stored: &str) -> bool {
        stored == self.form_3 || self.earlier.iter().any(|earlier| stored == earlier)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.form_3)
    }
}

/// What the configuration of these options meant when the largest distance was the only way of scoring.
fn before_levels(options: &BuildOptions) -> BuildOptions {
    if options.score == ScoreMethod::Guide {
        return options.clone();
    }
    let (now, then) = (BuildOptions::default(), BuildOptions::largest_distance());
    BuildOptions {
        coreset: if options.coreset == now.coreset { then.coreset } else { options.coreset },
        image_pct: if options.image_pct == now.image_pct { then.image_pct } else { options.image_pct },
        backbone: options.backbone,
        shorter: options.shorter,
        stride: options.stride,
        layers: options.layers.clone(),
        coreset_method: options.coreset_method,
        reservoir_max: options.reservoir_max,
        seed: options.seed,
        ..then
    }
}

/// `key=value` of every option whose value form 3 does not leave out, in the order of the keys, separated by spaces.
///
/// The values to leave out are fixed here and do not follow the defaults of the program: a bank of an old default is not one of the new.
fn options_in_form_3(options: &BuildOptions) -> String {
    let BuildOptions { score, mask_pct, groups, .. } = options;
    // Text that a person wrote may hold spaces and equals signs.
    let groups = match groups {
        Grouping::Pattern(pattern) => format!("{pattern:?}"),
        other => other.to_string(),
    };
    let more = [
        // Key, value, the value that is left out.
        ("score", score.to_string(), "levels"),
        ("mask_pct", mask_pct.to_string(), "0.98"),
        ("groups", groups, "auto"),
    ];
    written(values_of_form_2(options).into_iter().chain(more).collect())
}

/// The same of form 2.
fn options_in_form_2(options: &BuildOptions) -> String {
    written(values_of_form_2(options).into())
}

fn written(mut values: Vec<(&str, String, &str)>) -> String {
    values.sort_unstable();
    let written = values.iter().filter(|(_, value, left_out)| value != left_out);
    written.map(|(key, value, _)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// Key, value, the value that is left out.
fn values_of_form_2(options: &BuildOptions) -> [(&'static str, String, &'static str); 13] {
    let BuildOptions {
        backbone,
        shorter,
        stride,
        layers,
        score: _,
        coreset,
        coreset_method,
        reservoir_max,
        pixel_pct,
        mask_pct: _,
        image_pct,
        calibration,
        groups: _,
        neighbourhood,
        smoothing,
        seed,
    } = options;
    let layers: Vec<&str> = layers.iter().map(|layer| layer.as_str()).collect();
    [
        ("backbone", backbone.to_string(), "resnet50"),
        ("shorter", shorter.to_string(), "512"),
        ("stride", stride.to_string(), "2"),
        ("layers", layers.join(","), "layer2,layer3,layer4"),
        ("coreset", coreset.to_string(), "0.02"),
        ("coreset_method", coreset_method.to_string(), "greedy"),
        ("reservoir_max", reservoir_max.to_string(), "100000"),
        ("pixel_pct", pixel_pct.to_string(), "0.995"),
        ("image_pct", image_pct.to_string(), "0.995"),
        ("calibration", calibration.to_string(), "held_out"),
        ("neighbourhood", neighbourhood.to_string(), "3"),
        ("smoothing", smoothing.to_string(), "0"),
        ("seed", seed.to_string(), "0"),
    ]
}

const BACKBONES_IN_FORM_1: [(Backbone, &str); 6] = [
    (Backbone::Resnet18, "Resnet18"),
    (Backbone::Resnet34, "Resnet34"),
    (Backbone::Resnet50, "Resnet50"),
    (Backbone::Resnet101, "Resnet101"),
    (Backbone::WideResnet50, "WideResnet50"),
    (Backbone::EfficientnetLite0, "EfficientnetLite0"),
];

const LAYERS_IN_FORM_1: [(Layer, &str); 4] =
    [(Layer::Layer1, "Layer1"), (Layer::Layer2, "Layer2"), (Layer::Layer3, "Layer3"), (Layer::Layer4, "Layer4")];

const METHODS_IN_FORM_1: [(CoresetMethod, &str); 3] =
    [(CoresetMethod::Greedy, "Greedy"), (CoresetMethod::Kmeans, "Kmeans"), (CoresetMethod::Random, "Random")];

const CALIBRATIONS_IN_FORM_1: [(Calibration, &str); 2] = [(Calibration::HeldOut, "HeldOut"), (Calibration::InSample, "InSample")];

/// The options as the Rust compiler of that time printed them for debugging. `None` for those that did not exist then.
fn options_in_form_1(options: &BuildOptions) -> Option<String> {
    let BuildOptions {
        backbone,
        shorter,
        stride,
        layers,
        score: _,
        coreset,
        coreset_method,
        reservoir_max,
        pixel_pct,
        mask_pct: _,
        image_pct,
        calibration,
        groups: _,
        neighbourhood,
        smoothing,
        seed,
    } = options;
    let backbone = name(&BACKBONES_IN_FORM_1, *backbone)?;
    let layers = layers.iter().map(|layer| name(&LAYERS_IN_FORM_1, *layer)).collect::<Option<Vec<_>>>()?.join(", ");
    let method = name(&METHODS_IN_FORM_1, *coreset_method)?;
    let calibration = name(&CALIBRATIONS_IN_FORM_1, *calibration)?;
    let [coreset, pixel_pct, image_pct] = [coreset, pixel_pct, image_pct].map(|share| share_in_form_1(*share));
    Some(format!(
        "BuildOptions {{ backbone: {backbone}, shorter: {shorter}, stride: {stride}, layers: [{layers}], coreset: {coreset}, \
         coreset_method: {method}, reservoir_max: {reservoir_max}, pixel_pct: {pixel_pct}, image_pct: {image_pct}, \
         calibration: {calibration}, neighbourhood: {neighbourhood}, smoothing: {smoothing}, seed: {seed} }}"
    ))
}

fn name<T: PartialEq>(names: &[(T, &'static str)], wanted: T) -> Option<&'static str> {
    names.iter().find(|(value, _)| *value == wanted).map(|(_, name)| *name)
}

/// A share from 0 to 1: `0.02`, `1.0`, `5e-5`.
fn share_in_form_1(share: f64) -> String {
    if share != 0.0 && share.abs() < 1e-4 {
        return format!("{share:e}");
    }
    let text = share.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
impl From<&str> for Fingerprint {
    fn from(text: &str) -> Self {
        Self { form_3: text.to_owned(), earlier: Vec::new() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// No option has the value that form 2 leaves out.
    pub(in crate::banks) fn all_other() -> BuildOptions {
        BuildOptions {
            backbone: Backbone::EfficientnetLite0,
            shorter: 64,
            stride: 1,
            layers: vec![Layer::Layer1, Layer::Layer3],
            coreset: 0.00005,
            coreset_method: CoresetMethod::Kmeans,
            reservoir_max: 5000,
            score: ScoreMethod::Guide,
            pixel_pct: 1.0,
            mask_pct: 0.97,
            image_pct: 0.99,
            calibration: Calibration::InSample,
            groups: Grouping::None,
            neighbourhood: 1,
            smoothing: 5,
            seed: u64::MAX,
        }
    }

    /// The databases of plants hold these values. If this test fails, the plants would rebuild their banks.
    #[test]
    fn the_options_are_written_as_ever() {
        let default = BuildOptions::largest_distance();
        assert_eq!(options_in_form_2(&default), "");
        assert_eq!(options_in_form_2(&BuildOptions::guide()), "calibration=in_sample coreset_method=kmeans neighbourhood=1");
        assert_eq!(
            options_in_form_2(&all_other()),
            "backbone=efficientnet_lite0 calibration=in_sample coreset=0.00005 coreset_method=kmeans image_pct=0.99 \
             layers=layer1,layer3 neighbourhood=1 pixel_pct=1 reservoir_max=5000 seed=18446744073709551615 shorter=64 smoothing=5 stride=1"
        );
        let levels = BuildOptions { groups: Grouping::Pattern("^(?P<group>a b)".into()), mask_pct: 0.97, ..BuildOptions::default() };
        assert_eq!(
            options_in_form_3(&levels),
            "coreset=0.05 groups=\"^(?P<group>a b)\" image_pct=0.98 mask_pct=0.97 neighbourhood=1 pixel_pct=0.98"
        );
        assert_eq!(options_in_form_3(&BuildOptions::default()), "coreset=0.05 image_pct=0.98 neighbourhood=1 pixel_pct=0.98");
        assert_eq!(options_in_form_3(&default), "groups=none mask_pct=0.995 score=guide");
        assert_eq!(
            options_in_form_1(&default).unwrap(),
            "BuildOptions { backbone: Resnet50, shorter: 512, stride: 2, layers: [Layer2, Layer3, Layer4], coreset: 0.02, \
             coreset_method: Greedy, reservoir_max: 100000, pixel_pct: 0.995, image_pct: 0.995, calibration: HeldOut, neighbourhood: 3, \
             smoothing: 0, seed: 0 }"
        );
        assert_eq!(
            options_in_form_1(&all_other()).unwrap(),
            "BuildOptions { backbone: EfficientnetLite0, shorter: 64, stride: 1, layers: [Layer1, Layer3], coreset: 5e-5, \
             coreset_method: Kmeans, reservoir_max: 5000, pixel_pct: 1.0, image_pct: 0.99, calibration: InSample, neighbourhood: 1, \
             smoothing: 5, seed: 18446744073709551615 }"
        );
    }

    #[test]
    fn every_word_is_written_as_ever() {
        let words = |backbone: Option<Backbone>, method: Option<CoresetMethod>, calibration: Option<Calibration>, layers: &[Layer]| {
            let default = BuildOptions::largest_distance();
            options_in_form_2(&BuildOptions {
                backbone: backbone.unwrap_or(default.backbone),
                coreset_method: method.unwrap_or(default.coreset_method),
                calibration: calibration.unwrap_or(default.calibration),
                layers: layers.to_vec(),
                ..default
            })
        };
        let usual = &BuildOptions::default().layers;
        let of = |backbone| words(Some(backbone), None, None, usual);
        assert_eq!(of(Backbone::Resnet18), "backbone=resnet18");
        assert_eq!(of(Backbone::Resnet34), "backbone=resnet34");
        assert_eq!(of(Backbone::Resnet50), "");
        assert_eq!(of(Backbone::Resnet101), "backbone=resnet101");
        assert_eq!(of(Backbone::WideResnet50), "backbone=wide_resnet50_2");
        assert_eq!(of(Backbone::EfficientnetLite0), "backbone=efficientnet_lite0");
        assert_eq!(of(Backbone::EfficientnetLite1), "backbone=efficientnet_lite1");
        assert_eq!(of(Backbone::EfficientnetLite2), "backbone=efficientnet_lite2");
        assert_eq!(of(Backbone::Dinov2Vits14), "backbone=dinov2_vits14");
        assert_eq!(of(Backbone::Dinov2Vitb14), "backbone=dinov2_vitb14");
        let of = |method| words(None, Some(method), None, usual);
        assert_eq!(of(CoresetMethod::Greedy), "");
        assert_eq!(of(CoresetMethod::Kmeans), "coreset_method=kmeans");
        assert_eq!(of(CoresetMethod::Random), "coreset_method=random");
        assert_eq!(words(None, None, Some(Calibration::InSample), usual), "calibration=in_sample");
        let backwards = [Layer::Layer4, Layer::Layer3, Layer::Layer2, Layer::Layer1];
        assert_eq!(words(None, None, None, &backwards), "layers=layer4,layer3,layer2,layer1");
        assert_eq!(
            words(None, None, None, Backbone::Dinov2Vits14.layers()),
            "layers=block1,block2,block3,block4,block5,block6,block7,block8,block9,block10,block11,block12"
        );
    }

    /// The texts on the right come from version 0.1.0.
    #[test]
    fn shares_are_written_in_form_1_as_they_were() {
        for (share, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.5, "0.5"),
            (0.02, "0.02"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0 / 3.0, "0.3333333333333333"),
            (0.9999999999999999, "0.9999999999999999"),
            (0.00015, "0.00015"),
            (0.0001, "0.0001"),
            (0.00009999, "9.999e-5"),
            (0.00001, "1e-5"),
            (0.00000015, "1.5e-7"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(share_in_form_1(share), text);
        }
    }

    #[test]
    fn form_1_knows_every_word_of_version_0_1_0() {
        let known = |backbone, layer, method, calibration| {
            let options =
                BuildOptions { backbone, layers: vec![layer], coreset_method: method, calibration, ..BuildOptions::largest_distance() };
            let text = options_in_form_1(&options).unwrap();
            let words = ["backbone: ", "layers: [", "coreset_method: ", "calibration: "];
            words.map(|key| text.split_once(key).unwrap().1.split([',', ']']).next().unwrap().to_owned())
        };
        use {Backbone as B, Calibration as C, CoresetMethod as M, Layer as L};
        assert_eq!(known(B::Resnet18, L::Layer1, M::Greedy, C::HeldOut), ["Resnet18", "Layer1", "Greedy", "HeldOut"]);
        assert_eq!(known(B::Resnet34, L::Layer2, M::Kmeans, C::InSample), ["Resnet34", "Layer2", "Kmeans", "InSample"]);
        assert_eq!(known(B::Resnet50, L::Layer3, M::Random, C::HeldOut), ["Resnet50", "Layer3", "Random", "HeldOut"]);
        assert_eq!(known(B::Resnet101, L::Layer4, M::Greedy, C::HeldOut), ["Resnet101", "Layer4", "Greedy", "HeldOut"]);
        assert_eq!(known(B::WideResnet50, L::Layer1, M::Greedy, C::HeldOut)[0], "WideResnet50");
        assert_eq!(known(B::EfficientnetLite0, L::Layer1, M::Greedy, C::HeldOut)[0], "EfficientnetLite0");
    }

    #[test]
    fn form_1_knows_no_later_word() {
        let form_1 = |backbone, layer| options_in_form_1(&BuildOptions { backbone, layers: vec![layer], ..BuildOptions::default() });
        for backbone in [Backbone::EfficientnetLite1, Backbone::EfficientnetLite2, Backbone::Dinov2Vits14, Backbone::Dinov2Vitb14] {
            assert_eq!(form_1(backbone, Layer::Layer1), None);
        }
        for &layer in Backbone::Dinov2Vits14.layers() {
            assert_eq!(form_1(Backbone::Resnet50, layer), None);
        }
    }

    #[test]
    fn every_form_is_recognised_and_nothing_else() {
        let of = |options: &BuildOptions| {
            Fingerprint::of(options, |hasher| {
                hasher.update(b"files");
            })
        };
        let (default, other) = (of(&BuildOptions::default()), of(&all_other()));
        for (fingerprint, stranger) in [(&default, &other), (&other, &default)] {
            let [form_2, form_1] = fingerprint.earlier.as_slice() else { panic!("{fingerprint:?}") };
            assert!(fingerprint.to_string().starts_with("3:") && form_2.starts_with("2:") && !form_1.contains(':'));
            for stored in [&fingerprint.to_string(), form_2, form_1] {
                assert!(fingerprint.matches(stored) && !stranger.matches(stored));
                assert!(stored == form_1 || !fingerprint.matches(&stored[2..]));
            }
            assert!(!fingerprint.matches("") && !fingerprint.matches("2:") && !fingerprint.matches("3:"));
        }
    }

    /// A plant that updates keeps its banks; a plant that asks for another way of scoring gets another bank.
    #[test]
    fn an_old_bank_stays_until_the_way_of_scoring_is_changed() {
        let of = |options: &BuildOptions| Fingerprint::of(options, |_| ());
        let (levels, largest) = (of(&BuildOptions::default()), of(&BuildOptions::largest_distance()));
        assert_eq!(levels.earlier, largest.earlier, "the same configuration, then and now");
        assert!(!levels.matches(&largest.to_string()) && !largest.matches(&levels.to_string()));
        let stricter = of(&BuildOptions { image_pct: 0.9, ..BuildOptions::default() });
        assert!(levels.earlier.iter().all(|stored| !stricter.matches(stored)));
    }
}
