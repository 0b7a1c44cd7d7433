//! Whose an image is by its path, and what that folder says of it.

use super::Line;
use crate::config::ProductConfig;
use crate::inspection::Readiness;
use crate::routing::Route;
use std::path::Path;

/// True when a new image of this path would not be this product's: the line was changed over, or the configuration was.
pub(super) fn is_of_another(line: &Line, product: &ProductConfig, image: &Path) -> bool {
    match line.router.route(image) {
        Route::Product(rule) => line.config.products.get(rule.product).is_none_or(|now| now.name != product.name),
        Route::Unrouted => true,
        Route::Ignored => false,
    }
}

/// How the drop folder of the image tells that a file is complete.
pub(super) fn readiness(line: &Line, product: &ProductConfig, image: &Path) -> Readiness {
    match line.router.route(image) {
        Route::Product(rule) if !is_of_another(line, product, image) => rule.readiness.clone(),
        // The product is off, and no rule of the line speaks for it.
        _ => product.drop.iter().find(|drop| image.starts_with(&drop.path)).map(|drop| drop.ready.clone()).unwrap_or_default(),
    }
}

/// The configured drop folder that the image lies in; its own folder when the configuration has changed since it arrived.
pub(super) fn drop_folder<'a>(product: &'a ProductConfig, image: &'a Path) -> &'a Path {
    let folders = product.drop.iter().map(|drop| drop.path.as_path()).filter(|folder| image.starts_with(folder));
    folders.max_by_key(|folder| folder.as_os_str().len()).or(image.parent()).unwrap_or(image)
}
