//! The golden images of the products, for the side-by-side.

use crate::config::Config;
use crate::domain::Picture;
use crate::inspect::{self, Expectation};
use crate::platform::folder_io;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Reads the golden images. A product without one has no side-by-side, and the log says why.
pub async fn read_references(config: &Config) -> HashMap<String, Arc<Picture>> {
    let mut references = HashMap::new();
    for product in config.products.iter().filter(|product| product.outputs.side_by_side) {
        let Some(path) = product.reference.clone() else { continue };
        let expect = Expectation { max_megapixels: config.intake.max_megapixels, input: product.input.clone(), ..Expectation::default() };
        let asked = path.clone();
        match folder_io::work_in_time(&path, move || read_reference(&asked, &expect)).await {
            Ok(picture) => references.extend(picture.map(|picture| (product.name.clone(), picture))),
            Err(_) => tracing::warn!(product = %product.name, "reference does not answer; no side-by-side is written"),
        }
    }
    references
}

fn read_reference(path: &Path, expect: &Expectation) -> Option<Arc<Picture>> {
    match inspect::read(path, expect) {
        Ok(source) => Some(Arc::new(source.picture)),
        Err(error) => {
            tracing::warn!(%error, "reference not read; no side-by-side is written");
            None
        }
    }
}
