//! The demo's folder: who may use it, what lies where, and the configuration of the line.

use super::plan::{Frame, PartTruth, Product, ProductPlan};
use anyhow::{Context, bail};
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Marks a folder as the demo's own, so that the next demo may clear it.
const MARKER: &str = "made-by-patchcored-demo.txt";

/// Everything that a demo leaves in its folder. Only these are removed by the next one.
const ENTRIES: [&str; 12] = [
    "config.yaml",
    "history.db",
    "history.db-wal",
    "history.db-shm",
    "patchcored.log",
    "truth.csv",
    "picture.jpg",
    "camera",
    "ok",
    "banks",
    "truth",
    MARKER,
];

/// A folder that holds one line.
#[derive(Debug)]
pub struct DemoLine {
    /// The folder, absolute.
    pub dir: PathBuf,
}

impl DemoLine {
    /// Makes `dir` ready for a new demo. What a former demo left there goes; a folder that is not a demo's is refused.
    pub fn prepare(dir: &Path) -> anyhow::Result<DemoLine> {
        let shown = dir.display();
        match fs::read_dir(dir).map(|mut entries| entries.next().is_some()) {
            Ok(true) if !dir.join(MARKER).exists() => {
                bail!("{shown} exists and is not a former demo's folder, so it is left alone; name another one with --dir")
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(dir).with_context(|| format!("cannot make the demo's folder {shown}; name another one with --dir"))?;
            }
            Err(e) => return Err(e).with_context(|| format!("cannot use {shown} as the demo's folder; name another one with --dir")),
        }
        let line = DemoLine { dir: fs::canonicalize(dir).with_context(|| format!("cannot resolve {shown}"))? };
        for entry in ENTRIES {
            remove(&line.dir.join(entry))
                .with_context(|| format!("cannot remove {shown}/{entry} of the former demo; remove it by hand"))?;
        }
        let text = "The folder of `patchcored demo`. The next demo in this folder clears it.\n";
        line.write(MARKER, text.as_bytes())?;
        line.write("config.yaml", config_text().as_bytes())?;
        for product in Product::ALL {
            for folder in [line.drop_folder(product), line.ok_folder(product), line.dir.join("banks").join(product.name())] {
                fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            }
        }
        Ok(line)
    }

    /// Where the camera of `product` writes.
    pub fn drop_folder(&self, product: Product) -> PathBuf {
        self.dir.join("camera").join(product.name())
    }

    /// Where the OK images of `product` are.
    pub fn ok_folder(&self, product: Product) -> PathBuf {
        self.dir.join("ok").join(product.name())
    }

    /// A file of the line by its name, such as `history.db`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes `truth.csv` and a mask for every defect, `truth/<image>.png`.
    pub fn write_truth(&self, plans: &[ProductPlan]) -> anyhow::Result<()> {
        let folder = self.dir.join("truth");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for frame in plans.iter().flat_map(|plan| &plan.stream) {
            if let Some(mask) = &frame.mask {
                let path = folder.join(mask_name(frame));
                mask.save(&path).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        self.write("truth.csv", truth_csv(plans).as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        fs::write(self.dir.join(name), bytes).with_context(|| format!("cannot write {}/{name}", self.dir.display()))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    removed.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

fn mask_name(frame: &Frame) -> String {
    format!("{}.png", frame.name)
}

fn truth_csv(plans: &[ProductPlan]) -> String {
    let mut text = String::from("file,product,truth,defect,mask\n");
    for plan in plans {
        for frame in &plan.stream {
            let (truth, defect, mask) = match frame.truth {
                PartTruth::Good => ("ok", "", String::new()),
                PartTruth::Defect(kind) => ("ng", kind.name(), format!("truth/{}", mask_name(frame))),
                PartTruth::Broken => ("failed", "", String::new()),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{},{},{truth},{defect},{mask}", frame.name, plan.product.name());
        }
    }
    text
}

/// The configuration of the line. Relative paths start at its own folder.
fn config_text() -> String {
    let mut text = String::from(
        "# Written by `patchcored demo`: two products, each with a camera folder and a folder of OK images.
database: history.db
intake:
  rescan: 5s
  give_up_after: 3s          # short, so that the demo's two broken files end as failed while it runs
defaults:
  build:
    backbone: efficientnet_lite0
    shorter: 384             # enough for pictures of 320 pixels, and fast
    min_images: 10
  rebuild:
    quiet_period: 2s         # short, so that the demo need not wait
    max_wait: 20s
products:
",
    );
    for product in Product::ALL {
        let name = product.name();
        let ready = match product {
            Product::Disc => "close_write",
            Product::Weave => "{ quiet: 300ms }",
        };
        let _ = write!(
            text,
            "  - name: {name}
    drop:
      - path: camera/{name}
        ready: {ready}
    ok: ok/{name}
    bank: banks/{name}
"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::domain::{Backbone, Readiness};
    use std::time::Duration;

    #[test]
    fn the_config_is_accepted_and_its_paths_are_the_lines() {
        let folder = tempfile::tempdir().unwrap();
        let line = DemoLine::prepare(folder.path()).unwrap();
        let config = Config::load(&line.file("config.yaml")).unwrap();
        assert_eq!(config.database, line.file("history.db"));
        for (product, checked) in Product::ALL.into_iter().zip(&config.products) {
            assert_eq!(checked.name, product.name());
            assert_eq!(checked.drop[0].path, line.drop_folder(product));
            assert_eq!(checked.ok, line.ok_folder(product));
            assert_eq!(checked.build.backbone, Backbone::EfficientnetLite0);
            assert_eq!(checked.rebuild.quiet_period, Duration::from_secs(2));
        }
        assert_eq!(config.products[1].drop[0].ready, Readiness::Quiet(Duration::from_millis(300)));
    }

    #[test]
    fn a_former_demo_is_replaced_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("line");
        DemoLine::prepare(&dir).unwrap();
        fs::write(dir.join("history.db"), b"old").unwrap();
        fs::write(dir.join("camera/disc/old.jpg"), b"old").unwrap();
        fs::write(dir.join("notes.txt"), b"mine").unwrap();
        let line = DemoLine::prepare(&dir).unwrap();
        assert!(!line.file("history.db").exists());
        assert!(!dir.join("camera/disc/old.jpg").exists());
        assert!(line.drop_folder(Product::Disc).is_dir());
        assert_eq!(fs::read(dir.join("notes.txt")).unwrap(), b"mine");
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.yaml"), b"mine").unwrap();
        let error = DemoLine::prepare(folder.path()).unwrap_err().to_string();
        assert!(error.contains("--dir"), "{error}");
        assert_eq!(fs::read(folder.path().join("config.yaml")).unwrap(), b"mine");
    }
}
