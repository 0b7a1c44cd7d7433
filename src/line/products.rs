//! The products of the line, and which product an image belongs to by its path.

use crate::config::{Config, ProductConfig};
use crate::domain::Readiness;
use crate::routing::{Route, Router};
use std::path::Path;
use std::sync::Arc;

/// The configuration of the line with its router.
pub struct Products {
    /// The configuration.
    pub config: Arc<Config>,
    /// Tells which product takes a file.
    pub router: Router,
}

impl Products {
    /// The product of this name.
    pub fn get(&self, name: &str) -> Option<&ProductConfig> {
        self.config.product(name)
    }

    /// True when a new image of this path would belong to another product: the line was changed over, or the configuration was changed.
    pub fn is_of_another(&self, product: &ProductConfig, image: &Path) -> bool {
        match self.router.route(image) {
            Route::Product(rule) => self.config.products.get(rule.product).is_none_or(|now| now.name != product.name),
            Route::Unrouted => true,
            Route::Ignored => false,
        }
    }

    /// How the drop folder of the image shows that a file is complete.
    pub fn readiness(&self, product: &ProductConfig, image: &Path) -> Readiness {
        match self.router.route(image) {
            Route::Product(rule) if !self.is_of_another(product, image) => rule.readiness.clone(),
            // The product is off, and no rule of the line applies to the image.
            _ => product.drop.iter().find(|drop| image.starts_with(&drop.path)).map(|drop| drop.ready.clone()).unwrap_or_default(),
        }
    }
}

/// The configured drop folder that the image lies in; its own folder when the configuration has changed since it arrived.
pub fn drop_folder<'a>(product: &'a ProductConfig, image: &'a Path) -> &'a Path {
    let folders = product.drop.iter().map(|drop| drop.path.as_path()).filter(|folder| image.starts_with(folder));
    folders.max_by_key(|folder| folder.as_os_str().len()).or(image.parent()).unwrap_or(image)
}
