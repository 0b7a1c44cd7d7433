//! The disks that files are written to, and the disks that are short of space.

use crate::config::ProductConfig;
use crate::domain::{FileKind, MinFree};
use crate::platform::disk_space::DiskSpace;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long there must be enough space before the daemon reports it: a line that deletes what it writes is short again and again.
const CALM: Duration = Duration::from_secs(30);

/// A disk with less space than a product wants.
#[derive(Debug, Clone)]
pub struct Shortage {
    /// A folder on it.
    pub folder: PathBuf,
    /// The product.
    pub product: String,
    /// The free space it asks for.
    pub min_free: MinFree,
    /// The space on the disk.
    pub space: DiskSpace,
}

/// The disks as last seen.
#[derive(Debug, Default)]
pub struct Disks {
    /// By drop folder and `outputs.dir`.
    spaces: BTreeMap<PathBuf, DiskSpace>,
    /// Disks reported as short of space: a folder, and when they last were short.
    short: BTreeMap<u64, (PathBuf, Instant)>,
}

impl Disks {
    /// The space on the disk of a folder; `None` = not known.
    pub fn seen(&mut self, folder: PathBuf, space: Option<DiskSpace>) {
        match space {
            Some(space) => drop(self.spaces.insert(folder, space)),
            None => drop(self.spaces.remove(&folder)),
        }
    }

    /// The disk of a folder now has this space; other folders may be on the same disk.
    pub fn seen_all(&mut self, space: DiskSpace) {
        self.spaces.values_mut().filter(|known| known.disk == space.disk).for_each(|known| *known = space);
    }

    /// In a dry run: the disk of this folder would have this many more bytes.
    pub fn would_free(&mut self, folder: &Path, bytes: u64) {
        if let Some(space) = self.spaces.get(folder) {
            let space = DiskSpace { free: space.free.saturating_add(bytes), ..*space };
            self.seen_all(space);
        }
    }

    /// True when the folder is on this disk.
    pub fn has(&self, disk: u64, folder: &Path) -> bool {
        self.spaces.get(folder).is_some_and(|space| space.disk == disk)
    }

    /// The products that want more free space than there is; each disk once.
    pub fn shortages(&self, products: &[ProductConfig]) -> Vec<Shortage> {
        let mut found = Vec::new();
        for product in products {
            let Some(min_free) = product.retention.min_free else { continue };
            let mut disks = HashSet::new();
            let folders = product.retention.when_full.iter().flat_map(|kind| places(product, *kind));
            for (folder, space) in folders.filter_map(|folder| self.spaces.get(folder).map(|space| (folder, *space))) {
                if space.free < min_free.bytes_of(space.total) && disks.insert(space.disk) {
                    found.push(Shortage { folder: folder.clone(), product: product.name.clone(), min_free, space });
                }
            }
        }
        found
    }

    /// There is too little space, and nothing to delete. True when this is new.
    pub fn is_short(&mut self, shortage: &Shortage) -> bool {
        self.short.insert(shortage.space.disk, (shortage.folder.clone(), Instant::now())).is_none()
    }

    /// A folder on each disk that has enough space again.
    pub fn enough_again(&mut self, products: &[ProductConfig]) -> Vec<PathBuf> {
        for shortage in self.shortages(products) {
            self.short.entry(shortage.space.disk).and_modify(|(_, last)| *last = Instant::now());
        }
        let over: Vec<u64> = self.short.iter().filter(|(_, (_, last))| last.elapsed() >= CALM).map(|(disk, _)| *disk).collect();
        over.iter().filter_map(|disk| self.short.remove(disk)).map(|(folder, _)| folder).collect()
    }
}

/// The folders where files of this kind are written now.
pub fn places(product: &ProductConfig, kind: FileKind) -> Vec<&PathBuf> {
    match &product.outputs.dir {
        Some(dir) if !kind.is_image() => vec![dir],
        _ => product.drop.iter().map(|drop| &drop.path).collect(),
    }
}

/// Every folder in which something may be deleted, if free space matters at all.
pub fn folders_to_ask(products: &[ProductConfig]) -> BTreeSet<PathBuf> {
    if products.iter().all(|product| product.retention.min_free.is_none()) {
        return BTreeSet::new();
    }
    let on = products.iter().filter(|product| product.retention.is_on());
    on.flat_map(|product| FileKind::ALL.iter().flat_map(|kind| places(product, *kind))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_product_is_short_where_its_files_that_may_go_are_written() {
        let product =
            |name: &str, more: &str| format!("- {{name: {name}, drop: [{{path: /{name}}}], ok: /{name}_ok, bank: /{name}_bank, {more}}}\n");
        let text = [
            "database: /h.db\nproducts:\n".to_owned(),
            product("beside", "retention: {min_free: 10%}"),
            product("apart", "outputs: {dir: /out}, retention: {min_free: 500MB, when_full: [ok_outputs, ng_images]}"),
            product("off", "decide_by: image"),
        ];
        let products = Config::parse(&text.concat()).unwrap().products;
        assert_eq!(folders_to_ask(&products), ["/apart", "/beside", "/out"].map(PathBuf::from).into());
        let mut disks = Disks::default();
        let space = |disk, free| Some(DiskSpace { disk, free, total: 1_000_000_000 });
        let short =
            |disks: &Disks| disks.shortages(&products).into_iter().map(|s| s.folder.display().to_string()).collect::<Vec<_>>().join(" ");
        disks.seen("/beside".into(), space(1, 100_000_000));
        disks.seen("/apart".into(), space(1, 100_000_000));
        disks.seen("/out".into(), space(2, 500_000_000));
        assert_eq!(short(&disks), "/apart");
        disks.seen("/out".into(), space(2, 499_999_999));
        assert_eq!(short(&disks), "/out /apart");
        disks.would_free(Path::new("/out"), 1);
        disks.seen_all(DiskSpace { disk: 1, free: 99_999_999, total: 1_000_000_000 });
        assert_eq!(short(&disks), "/beside /apart");
        disks.seen("/beside".into(), None);
        assert_eq!(short(&disks), "/apart");
        let shortage = disks.shortages(&products).remove(0);
        assert!(disks.is_short(&shortage) && !disks.is_short(&shortage));
        assert!(disks.enough_again(&products).is_empty());
    }
}
