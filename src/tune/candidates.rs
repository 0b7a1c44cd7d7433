//! The settings that are tried: one change at a time, the most useful first.

use super::changes::{Change, Scale};
use super::settings::BuildSettings;
use crate::domain::{Backbone, Layer, ScoreMethod};

/// The changes that are possible, the most useful first. `backbones` are those with weights.
pub(super) fn changes(current: &BuildSettings, backbones: &[Backbone]) -> Vec<Change> {
    let options = &current.options;
    let mut changes = vec![
        Change::Score(ScoreMethod::Levels),
        Change::Shorter(Scale::OneAndAHalf),
        Change::Stride(if options.stride == 1 { 2 } else { options.stride - 1 }),
    ];
    changes.extend(backbones.iter().map(|backbone| Change::Backbone(*backbone)));
    changes.extend(layers(options.backbone).into_iter().map(Change::Layers));
    changes.push(Change::Shorter(Scale::ThreeQuarters));
    changes.push(Change::Score(ScoreMethod::Guide));
    // The score in use is no change, whatever its options are.
    changes.retain(|change| *change != Change::Score(options.score) && current.with(std::slice::from_ref(change)).is_some());
    changes
}

fn layers(backbone: Backbone) -> Vec<Vec<Layer>> {
    let usual = backbone.default_layers();
    match backbone.layers() {
        [first @ Layer::Layer1, second, third, ..] => vec![vec![*first, *second, *third], vec![*second, *third], usual],
        [.., last] => vec![vec![*last], usual],
        [] => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;

    fn words(build: &str, backbones: &[Backbone]) -> Vec<String> {
        let current = settings(build);
        let of = |change: Change| current.with(&[change]).unwrap().changes_from(&current);
        changes(&current, backbones).into_iter().map(of).collect()
    }

    #[test]
    fn each_is_one_change_and_possible() {
        for build in ["{}", "{preset: guide}", "{backbone: dinov2_vits14}", "{smoothing: 3, stride: 1}", "{shorter: 32, stride: 64}"] {
            let current = settings(build);
            let changes = changes(&current, Backbone::ALL);
            assert!(changes.len() >= 12, "{build}: {changes:?}");
            for change in &changes {
                let changed = current.with(std::slice::from_ref(change)).unwrap();
                assert_eq!(changed.options.problems(), [], "{build}: {change:?}");
                assert!(!changes.iter().any(|other| other != change && current.with(std::slice::from_ref(other)) == Some(changed.clone())));
            }
        }
    }

    #[test]
    fn the_most_useful_come_first() {
        assert_eq!(
            words("{}", &[Backbone::Resnet50, Backbone::EfficientnetLite0]),
            [
                "shorter: 768",
                "stride: 1",
                "backbone: efficientnet_lite0",
                "layers: [layer1, layer2, layer3]",
                "layers: [layer2, layer3]",
                "shorter: 384",
                "score: guide",
            ]
        );
        let guide = words("{preset: guide, backbone: dinov2_vits14}", &[Backbone::Dinov2Vits14]);
        assert_eq!(guide, ["score: levels", "shorter: 672", "stride: 2", "layers: [block12]", "shorter: 336"]);
    }

    #[test]
    fn what_costs_time_is_known() {
        let current = settings("{}");
        let slower: Vec<_> = changes(&current, &[]).into_iter().filter(|change| change.is_slower(&current.options)).collect();
        let finer = Change::Layers(vec![Layer::Layer1, Layer::Layer2, Layer::Layer3]);
        assert_eq!(slower, [Change::Shorter(Scale::OneAndAHalf), Change::Stride(1), finer]);
        assert!(slower[0].is_of_the_key_of(&Change::Shorter(Scale::ThreeQuarters)) && !slower[0].is_of_the_key_of(&slower[1]));
    }
}
