//! How the folders of all products may lie to each other.

use super::check::Problems;
use super::{DropConfig, ProductConfig};
use std::path::Path;

/// Refuses folders that would feed each other: OK images or banks in a drop folder, drop folders or outputs among the OK images, a
/// bank that two products write. Paths are compared by name; `patchcored check` also looks through symbolic links.
pub(super) fn check(products: &[ProductConfig], problems: &mut Problems) {
    for (i, product) in products.iter().enumerate() {
        for (key, folder) in [("ok", &product.ok), ("bank", &product.bank)] {
            not_in_a_drop_folder(&format!("products[{i}].{key}"), folder, products, problems);
        }
        if let Some(first) = products[..i].iter().position(|p| p.bank == product.bank && !is_unset(&p.bank)) {
            let message = format!("{} is also the bank folder of products[{first}]; give each product its own", product.bank.display());
            problems.add(format!("products[{i}].bank"), message);
        }
        let drops = product.drop.iter().enumerate().map(|(j, d)| (format!("products[{i}].drop[{j}].path"), d.path.as_path()));
        let dir = product.outputs.dir.iter().map(|dir| (format!("products[{i}].outputs.dir"), dir.as_path()));
        let bank = (format!("products[{i}].bank"), product.bank.as_path());
        for (key, folder) in drops.chain(dir).chain([bank]) {
            not_among_ok_images(&key, folder, products, problems);
        }
    }
}

fn not_in_a_drop_folder(key: &str, folder: &Path, products: &[ProductConfig], problems: &mut Problems) {
    let drops = products.iter().enumerate().flat_map(|(k, p)| p.drop.iter().enumerate().map(move |(j, d)| (k, j, d)));
    if let Some((k, j, drop)) = drops.into_iter().find(|(_, _, drop)| swallows(drop, folder)) {
        let place = if drop.path == folder { "is" } else { "lies in" };
        let message = format!(
            "{} {place} the drop folder {} (products[{k}].drop[{j}]), so what is in it would be inspected; move one of them",
            folder.display(),
            drop.path.display()
        );
        problems.add(key, message);
    }
}

fn not_among_ok_images(key: &str, folder: &Path, products: &[ProductConfig], problems: &mut Problems) {
    let inside = |ok: &Path| !is_unset(ok) && !is_unset(folder) && folder.starts_with(ok);
    // A drop folder that is itself an ok folder is already reported under `ok`.
    if let Some(k) = products.iter().position(|p| inside(&p.ok) && !(key.ends_with(".path") && p.ok == folder)) {
        let ok = products[k].ok.display();
        let message =
            format!("{} lies in the ok folder {ok} (products[{k}].ok), which is for good parts only; move it elsewhere", folder.display());
        problems.add(key, message);
    }
}

fn swallows(drop: &DropConfig, folder: &Path) -> bool {
    !is_unset(&drop.path) && !is_unset(folder) && (folder == drop.path || (drop.recursive && folder.starts_with(&drop.path)))
}

/// True for a path that was missing or unusable, which has been reported.
fn is_unset(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
