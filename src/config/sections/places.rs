//! How the folders of all products may contain each other.

use super::drop::DropConfig;
use super::product::ProductConfig;
use crate::config::collector::Problems;
use std::collections::HashMap;
use std::path::Path;

/// The purpose of each folder, so that ten thousand products are not compared each with each.
struct Folders<'a> {
    /// Index of the product, index in its `drop:`, and the entry.
    drops: HashMap<&'a Path, Vec<(usize, usize, &'a DropConfig)>>,
    /// Indices of the products whose ok images are there.
    oks: HashMap<&'a Path, Vec<usize>>,
    /// The first product whose bank is there.
    banks: HashMap<&'a Path, usize>,
}

impl<'a> Folders<'a> {
    fn of(products: &'a [ProductConfig]) -> Self {
        let mut folders = Self { drops: HashMap::new(), oks: HashMap::new(), banks: HashMap::new() };
        for (i, product) in products.iter().enumerate() {
            for (j, drop) in product.drop.iter().enumerate() {
                folders.drops.entry(&drop.path).or_default().push((i, j, drop));
            }
            folders.oks.entry(&product.ok).or_default().push(i);
            folders.banks.entry(&product.bank).or_insert(i);
        }
        folders
    }
}

/// Refuses folders that would feed each other: ok images or banks in a drop folder, drop folders or outputs among the ok images, a bank
/// that two products write. Paths are compared by name; `patchcored check` also follows symbolic links.
pub(in crate::config) fn check(products: &[ProductConfig], problems: &mut Problems) {
    let folders = Folders::of(products);
    for (i, product) in products.iter().enumerate() {
        for (key, folder) in [("ok", &product.ok), ("bank", &product.bank)] {
            not_in_a_drop_folder(&format!("products[{i}].{key}"), folder, &folders, problems);
        }
        if let Some(first) = folders.banks.get(product.bank.as_path()).filter(|first| **first != i && !is_unset(&product.bank)) {
            let message = format!("{} is also the bank folder of products[{first}]; give each product its own", product.bank.display());
            problems.add(format!("products[{i}].bank"), message);
        }
        let drops = product.drop.iter().enumerate().map(|(j, d)| (format!("products[{i}].drop[{j}].path"), d.path.as_path()));
        let dir = product.outputs.dir.iter().map(|dir| (format!("products[{i}].outputs.dir"), dir.as_path()));
        let bank = (format!("products[{i}].bank"), product.bank.as_path());
        for (key, folder) in drops.chain(dir).chain([bank]) {
            not_among_ok_images(&key, folder, &folders, problems);
        }
    }
}

fn not_in_a_drop_folder(key: &str, folder: &Path, folders: &Folders<'_>, problems: &mut Problems) {
    if is_unset(folder) {
        return;
    }
    let around = folder.ancestors().filter_map(|outer| folders.drops.get(outer)).flatten();
    let swallowing = around.filter(|(_, _, drop)| folder == drop.path || drop.recursive);
    if let Some((k, j, drop)) = swallowing.min_by_key(|(k, j, _)| (*k, *j)) {
        let place = if drop.path == folder { "is" } else { "lies in" };
        let message = format!(
            "{} {place} the drop folder {} (products[{k}].drop[{j}]), so what is in it would be inspected; move one of them",
            folder.display(),
            drop.path.display()
        );
        problems.add(key, message);
    }
}

fn not_among_ok_images(key: &str, folder: &Path, folders: &Folders<'_>, problems: &mut Problems) {
    if is_unset(folder) {
        return;
    }
    // A drop folder that is itself an ok folder already has a problem under `ok`.
    let around = folder.ancestors().filter(|ok| !(key.ends_with(".path") && *ok == folder));
    if let Some((k, ok)) = around.filter_map(|ok| Some((*folders.oks.get(ok)?.first()?, ok))).min() {
        let message = format!(
            "{} lies in the ok folder {} (products[{k}].ok), which is for good parts only; move it elsewhere",
            folder.display(),
            ok.display()
        );
        problems.add(key, message);
    }
}

/// True for a path that was missing or unusable; that is already a problem.
fn is_unset(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::{check_alone, check_of_product};

    fn product(name: &str, drop: &str, ok: &str, bank: &str) -> ProductConfig {
        let text = format!("{{name: {name}, drop: [{{path: {drop}}}], ok: {ok}, bank: {bank}}}");
        let intake = check_alone("{}", crate::config::sections::intake::check).0;
        let check = crate::config::sections::product::check;
        check_of_product(&text, |raw, scope, problems| check(raw, scope, &intake, problems)).0
    }

    fn problems(products: &[ProductConfig]) -> String {
        check_alone("{}", |_: serde_json::Value, problems| check(products, problems)).1
    }

    #[test]
    fn folders_that_feed_each_other_are_refused() {
        assert_eq!(problems(&[product("a", "/a/in", "/a/ok", "/a/bank"), product("b", "/a/in", "/b/ok", "/b")]), "");
        for (one, other, words) in [
            (("/in", "/in", "/bank"), ("/x", "/y", "/z"), "products[0].ok: /in is the drop folder /in (products[0].drop[0])"),
            (("/in", "/ok", "/bank"), ("/x", "/y", "/in/z"), "products[1].bank: /in/z lies in the drop folder /in"),
            (("/ok/in", "/ok", "/bank"), ("/x", "/y", "/z"), "products[0].drop[0].path: /ok/in lies in the ok folder /ok"),
            (("/in", "/ok", "/bank"), ("/x", "/y", "/bank"), "products[1].bank: /bank is also the bank folder of products[0]"),
        ] {
            let found = problems(&[product("a", one.0, one.1, one.2), product("b", other.0, other.1, other.2)]);
            assert!(found.starts_with(words), "{found}");
        }
    }
}
