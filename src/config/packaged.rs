//! The network of products that name none: `resnet50`, or the one in the package where no weights of `resnet50` are found.

use super::sections::product::RawProduct;
use super::values::Word;
use crate::domain::{Backbone, Preset};
use crate::patchcore::find_weights;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The network whose weights are in the package.
pub(super) const PACKAGED: Backbone = Backbone::EfficientnetLite0;

/// Names the packaged network in the products that name none, if only its weights are found; gives their names. `preset: guide` is left alone:
/// it means the method of the Python scripts, whose network is `resnet50`.
pub(super) fn name_packaged(products: &mut [RawProduct], weights: &BTreeMap<Backbone, PathBuf>) -> Vec<String> {
    let found = |backbone| weights.contains_key(&backbone) || find_weights(backbone, None).is_ok();
    if found(Backbone::Resnet50) || !found(PACKAGED) {
        return Vec::new();
    }
    let mut named = Vec::new();
    for product in products {
        let build = product.build.get_or_insert_default();
        if build.backbone.is_none() && !matches!(build.preset, Some(Word(Preset::Guide))) {
            build.backbone = Some(Word(PACKAGED));
            named.extend(product.name.clone());
        }
    }
    named
}
