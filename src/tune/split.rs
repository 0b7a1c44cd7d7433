//! One half of the OK images for the banks, the other held out.

use crate::domain::Grouping;
use anyhow::bail;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};

/// Fewer OK images say nothing when they are halved.
const LEAST: usize = 10;
/// The most images of a half: a candidate takes about a minute.
const MOST: usize = 50;
/// Without groups, the folder is cut into so many runs of neighbours by name, which stay together: frames of one part mostly follow each
/// other.
const RUNS: usize = 20;
/// The same folder is always split in the same way.
const SEED: u64 = 0;

/// The two halves, each sorted by name.
#[derive(Debug, PartialEq)]
pub(super) struct ImageHalves {
    pub bank: Vec<PathBuf>,
    pub held_out: Vec<PathBuf>,
}

/// Splits the images of the ok folder, sorted by name. A group lies in one half.
///
/// # Errors
/// Too few images, or all of one group.
pub(super) fn split(ok: &Path, paths: &[PathBuf], groups: &Grouping) -> anyhow::Result<ImageHalves> {
    let ok = ok.display();
    if paths.len() < LEAST {
        bail!("{ok}: {} OK images are too few to compare settings; put at least {LEAST} there, better 40", paths.len());
    }
    let names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy()).collect();
    let in_runs = || (0..paths.len()).map(|i| (i * RUNS.min(paths.len()) / paths.len()) as u32).collect();
    let group_of = groups.of_names(&names).unwrap_or_else(in_runs);
    let mut numbers = group_of.clone();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    let mut halves = ImageHalves { bank: Vec::new(), held_out: Vec::new() };
    for number in numbers {
        let half = if halves.bank.len() <= halves.held_out.len() { &mut halves.bank } else { &mut halves.held_out };
        half.extend(paths.iter().zip(&group_of).filter(|(_, group)| **group == number).map(|(path, _)| path.clone()));
    }
    for half in [&mut halves.bank, &mut halves.held_out] {
        half.truncate(MOST);
        half.sort_unstable();
        if half.len() < 2 {
            bail!("{ok}: nearly all OK images belong to one group, so none can be held out; correct `build.groups`");
        }
    }
    Ok(halves)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: impl IntoIterator<Item = String>) -> Vec<PathBuf> {
        names.into_iter().map(|name| Path::new("/ok").join(name)).collect()
    }

    fn halves(paths: &[PathBuf], groups: &Grouping) -> ImageHalves {
        let halves = split(Path::new("/ok"), paths, groups).unwrap();
        assert!(halves.bank.iter().all(|path| !halves.held_out.contains(path)));
        assert_eq!(halves, split(Path::new("/ok"), paths, groups).unwrap());
        halves
    }

    #[test]
    fn a_group_lies_in_one_half() {
        let frames = paths((0..40).map(|i| format!("part{:02}_{}.png", i % 10, i / 10)));
        let by_part = Grouping::from("^(?P<group>part[0-9]+)_".to_owned());
        let ImageHalves { bank, held_out } = halves(&frames, &by_part);
        assert_eq!((bank.len(), held_out.len()), (20, 20));
        let part = |path: &PathBuf| path.to_string_lossy()[..10].to_owned();
        assert!(bank.iter().all(|path| held_out.iter().all(|other| part(path) != part(other))));
    }

    #[test]
    fn without_groups_neighbours_stay_together() {
        let ImageHalves { bank, held_out } = halves(&paths((0..80).map(|i| format!("{i:03}.png"))), &Grouping::Auto);
        assert_eq!((bank.len(), held_out.len()), (40, 40));
        assert!(bank.chunks(4).all(|run| run[3].to_string_lossy()[4..7].parse::<u32>().unwrap() % 4 == 3));
        let few = halves(&paths((0..12).map(|i| format!("{i:03}.png"))), &Grouping::Auto);
        assert_eq!((few.bank.len(), few.held_out.len()), (6, 6));
        let many = halves(&paths((0..1000).map(|i| format!("{i:04}.png"))), &Grouping::None);
        assert_eq!((many.bank.len(), many.held_out.len()), (MOST, MOST));
    }

    #[test]
    fn too_few_images_and_one_group_are_refused() {
        let error = |names: u32, groups: &str| {
            let names = paths((0..names).map(|i| format!("a_{i}.png")));
            split(Path::new("/ok"), &names, &Grouping::from(groups.to_owned())).unwrap_err().to_string()
        };
        assert_eq!(error(9, "auto"), "/ok: 9 OK images are too few to compare settings; put at least 10 there, better 40");
        assert!(error(20, "^(?P<group>a)").contains("correct `build.groups`"));
    }
}
