//! OK images → bank of two levels: find the axes, embed, group, choose the coresets, calibrate.

use super::axes::PrincipalAxes;
use super::bank::{LevelBank, project};
use super::calibration::{Calibrated, HeldOut, calibrate};
use super::groups::{look, named, near_copies};
use super::{LEVELS, NEIGHBOURHOODS};
use crate::domain::{BuildOptions, DistanceGrid, ResizedImage};
use crate::patchcore::build_report::{BuildPhase, BuildProgress, Report};
use crate::patchcore::coreset;
use crate::patchcore::distance_grid::distance_grid;
use crate::patchcore::embedding::PatchEmbeddings;
use crate::patchcore::error::{EngineError, TorchContext};
use crate::patchcore::feature_extractor::FeatureExtractor;
use crate::patchcore::nearest::NearestRows;
use crate::patchcore::ok_images::{ImageSource, UnusableImage, UsedImage, by_name, none_usable, not_finite, read_ahead};
use crate::patchcore::reservoir::Reservoir;
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use std::time::Instant;
use tch::{Kind, TchError, Tensor};

/// The axes come from about so many patches …
const SAMPLED_PATCHES: usize = 20_000;
/// … of at most so many images, spread evenly over all …
const SAMPLED_IMAGES: usize = 100;
/// … and at least so many of each.
const LEAST_PATCHES: usize = 200;

/// A bank of two levels and what its build found.
pub(in crate::patchcore) struct BuiltLevels {
    pub bank: LevelBank,
    pub calibrated: Calibrated,
    pub found: Report,
}

/// Builds the bank; the options are sound and the network is theirs.
///
/// # Errors
/// [`EngineError::Build`] when no image can be used or tau cannot be set; [`EngineError::Torch`] when libtorch fails.
pub(in crate::patchcore) fn build(
    extractor: &FeatureExtractor,
    source: &dyn ImageSource,
    options: &BuildOptions,
    progress: &mut dyn FnMut(BuildProgress),
) -> Result<BuiltLevels, EngineError> {
    let mut clock = Instant::now();
    let mut seconds = move || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
    let names = source.names();
    let mut ok = OkImages {
        extractor,
        source,
        options,
        order: by_name(&names),
        names,
        reservoirs: [(); LEVELS].map(|()| Reservoir::new(options.reservoir_max, options.seed)),
        used: Vec::new(),
        skipped: Vec::new(),
    };
    let axes = ok.axes(progress)?;
    let looks = ok.embed(&axes, progress)?;
    let groups = ok.groups(&looks)?;
    let embed_s = seconds();

    let mut chosen = [Vec::new(), Vec::new()];
    let keep = coreset::kept(options.coreset, ok.reservoirs[0].origins().len());
    for (level, chosen) in chosen.iter_mut().enumerate() {
        let rows = ok.reservoirs[level].rows().doing("reading the reservoir")?;
        let selected = coreset::select(options.coreset_method, &rows, keep, options.seed, &mut |done, total| {
            progress(BuildProgress { phase: BuildPhase::Coreset, done: level * total + done, total: LEVELS * total });
        });
        *chosen = selected.doing("choosing the coreset")?.chosen.unwrap_or_default();
    }
    let rows = ok.rows(&chosen)?;
    let coreset_s = seconds();

    let spread = ok.spread().doing("measuring the patches")?;
    let held_out = ok.held_out(&axes, &rows, &chosen, &groups, progress)?;
    let calibrated = calibrate(&held_out, [keep, keep], spread, options.mask_pct, options.image_pct).ok_or_else(nothing_held_out)?;
    if !(calibrated.tau.pixel.is_finite() && calibrated.tau.image.is_finite()) {
        return Err(not_finite());
    }
    let bank = LevelBank::new(axes, rows, calibrated.statistics.clone());
    let used: Vec<&str> = ok.used.iter().map(|used| ok.names[used.index].as_str()).collect();
    let found = Report {
        images: ok.used.len(),
        patches: ok.reservoirs[0].seen(),
        stands_out: calibrated.stands_out.iter().map(|image| used[*image as usize].to_owned()).collect(),
        near_copies: if options.groups == crate::domain::Grouping::Auto { named(&groups, &used) } else { Vec::new() },
        embed_s,
        coreset_s,
        calibrate_s: seconds(),
        skipped: ok.skipped,
    };
    Ok(BuiltLevels { bank, calibrated, found })
}

fn nothing_held_out() -> EngineError {
    EngineError::Build(
        "no OK image is left to set tau with: each is scored against the bank without its own group, and all bank rows come from one group; \
         add OK images of other parts, raise `coreset`, or use `groups: none`"
            .to_owned(),
    )
}

/// The OK images on their way into a bank.
struct OkImages<'a> {
    extractor: &'a FeatureExtractor,
    source: &'a dyn ImageSource,
    options: &'a BuildOptions,
    names: Vec<String>,
    /// The indexes of the names in their order.
    order: Vec<usize>,
    /// Patches of each level; both sample the same places.
    reservoirs: [Reservoir; LEVELS],
    used: Vec<UsedImage>,
    skipped: Vec<(String, String)>,
}

impl OkImages<'_> {
    /// Finds the axes of fine patches, seeded places of an even sample of the images.
    fn axes(&self, progress: &mut dyn FnMut(BuildProgress)) -> Result<PrincipalAxes, EngineError> {
        let count = self.order.len();
        let sampled: Vec<usize> = match count <= SAMPLED_IMAGES {
            true => self.order.clone(),
            false => (0..SAMPLED_IMAGES).map(|i| self.order[i * (count - 1) / (SAMPLED_IMAGES - 1)]).collect(),
        };
        let of_each = (SAMPLED_PATCHES / sampled.len().max(1)).max(LEAST_PATCHES);
        let total = sampled.len() + count;
        let mut rng = ChaCha8Rng::seed_from_u64(self.options.seed);
        let mut sample = Vec::new();
        let mut done = 0;
        read_ahead(self.source, sampled, |_, image| {
            // What cannot be used is reported when it is embedded.
            if let Some(Ok(maps)) = image.ok().map(|image| self.maps(&image)) {
                let patches =
                    PatchEmbeddings::join(&maps, i64::from(self.options.stride), NEIGHBOURHOODS[0]).doing("joining feature maps")?;
                let places = patches.height * patches.width;
                let picked = index::sample(&mut rng, places as usize, of_each.min(places as usize));
                let picked: Vec<i64> = picked.into_iter().map(|place| place as i64).collect();
                let kept = Tensor::f_from_slice(&picked)
                    .and_then(|picked| patches.rows.f_index_select(0, &picked.f_to_device(patches.rows.device())?));
                sample.push(kept.doing("sampling patches")?);
            }
            done += 1;
            progress(BuildProgress { phase: BuildPhase::Embed, done, total });
            Ok(())
        })?;
        if sample.is_empty() {
            return Err(self.nothing_usable());
        }
        let sample = Tensor::f_cat(&sample, 0).doing("sampling patches")?;
        if !finite(&sample).doing("checking the patches")? {
            return Err(not_finite());
        }
        PrincipalAxes::of(&sample, self.options.seed).doing("finding the axes of the patches")
    }

    /// Why no image can be used.
    fn nothing_usable(&self) -> EngineError {
        let total = self.order.len();
        let first = self.order.iter().find_map(|&index| Some((&self.names[index], self.source.load(index).err()?)));
        let first = first.map(|(name, reason)| (name.as_str(), reason.to_string()));
        none_usable(total, first.as_ref().map(|(name, reason)| (*name, reason.as_str())))
    }

    fn maps(&self, image: &ResizedImage) -> Result<Vec<Tensor>, EngineError> {
        self.extractor.features(image, &self.options.layers)
    }

    fn patches(&self, axes: &PrincipalAxes, image: &ResizedImage) -> Result<[PatchEmbeddings; LEVELS], EngineError> {
        project(axes, &self.maps(image)?, i64::from(self.options.stride)).doing("moving patches to their axes")
    }

    /// Streams the patches of every image into the reservoirs, in the order of the names; gives what each image looks like from afar.
    fn embed(&mut self, axes: &PrincipalAxes, progress: &mut dyn FnMut(BuildProgress)) -> Result<Vec<Tensor>, EngineError> {
        let count = self.order.len();
        let ahead = count.min(SAMPLED_IMAGES);
        let mut looks = Vec::new();
        let mut done = ahead;
        read_ahead(self.source, self.order.clone(), |index, image| {
            if let Some(levels) = self.usable(index, image, |this, image| this.patches(axes, image))? {
                let (height, width) = (levels[0].height, levels[0].width);
                let (number, first_patch) = (self.used.len() as u32, self.reservoirs[0].seen() as i64);
                for (reservoir, patches) in self.reservoirs.iter_mut().zip(&levels) {
                    reservoir.add(number, &patches.rows).doing("sampling patches")?;
                }
                looks.push(look(&levels[0].rows, height, width).doing("comparing images")?);
                self.used.push(UsedImage { index, height, width, first_patch });
            }
            done += 1;
            progress(BuildProgress { phase: BuildPhase::Embed, done, total: ahead + count });
            Ok(())
        })?;
        if self.used.is_empty() { Err(self.nothing_usable()) } else { Ok(looks) }
    }

    /// What `work` makes of an image; `None` when the image has to be skipped, which is noted.
    fn usable<T>(
        &mut self,
        index: usize,
        image: Result<ResizedImage, UnusableImage>,
        work: impl FnOnce(&Self, &ResizedImage) -> Result<T, EngineError>,
    ) -> Result<Option<T>, EngineError> {
        let reason = match image {
            Err(error) => error.to_string(),
            Ok(image) => match work(self, &image) {
                Ok(done) => return Ok(Some(done)),
                Err(error @ EngineError::Image(_)) => error.to_string(),
                Err(error) => return Err(error),
            },
        };
        self.skipped.push((self.names[index].clone(), reason));
        Ok(None)
    }

    /// The group of each used image.
    fn groups(&self, looks: &[Tensor]) -> Result<Vec<u32>, EngineError> {
        let names: Vec<&str> = self.used.iter().map(|used| self.names[used.index].as_str()).collect();
        match self.options.groups.of_names(&names) {
            Some(groups) => Ok(groups),
            None => near_copies(looks).doing("looking for near-copies"),
        }
    }

    /// The rows of each level.
    fn rows(&self, chosen: &[Vec<i64>; LEVELS]) -> Result<[NearestRows; LEVELS], EngineError> {
        let of = |level: usize| {
            let rows = self.reservoirs[level].rows()?.f_index_select(0, &Tensor::f_from_slice(&chosen[level])?)?;
            NearestRows::new(rows)?.to_device(self.extractor.device())
        };
        let rows = [of(0).doing("making the bank")?, of(1).doing("making the bank")?];
        let sound = rows[0].is_finite().and_then(|fine| Ok(fine && rows[1].is_finite()?)).doing("checking the bank")?;
        if sound { Ok(rows) } else { Err(not_finite()) }
    }

    /// The standard deviation of a fine patch.
    fn spread(&self) -> Result<f64, TchError> {
        let rows = self.reservoirs[0].rows()?;
        rows.f_var_dim([0].as_slice(), false, false)?.f_sum(Kind::Double)?.f_sqrt()?.f_double_value(&[])
    }

    /// Measures every image against the bank without the rows of its group. An image whose group owns a whole level is left out.
    fn held_out(
        &mut self,
        axes: &PrincipalAxes,
        rows: &[NearestRows; LEVELS],
        chosen: &[Vec<i64>; LEVELS],
        groups: &[u32],
        progress: &mut dyn FnMut(BuildProgress),
    ) -> Result<Vec<HeldOut>, EngineError> {
        let owners: [Vec<u32>; LEVELS] = std::array::from_fn(|level| {
            let origins = self.reservoirs[level].origins();
            chosen[level].iter().map(|&row| groups[origins[row as usize].image as usize]).collect()
        });
        let others = |group: u32| -> Result<Option<[NearestRows; LEVELS]>, TchError> {
            let without = |level: usize| {
                let own: Vec<bool> = owners[level].iter().map(|&owner| owner == group).collect();
                match own.iter().all(|own| *own) {
                    true => Ok(None),
                    false => rows[level].without(&Tensor::f_from_slice(&own)?).map(Some),
                }
            };
            Ok(without(0)?.zip(without(1)?).map(|(fine, coarse)| [fine, coarse]))
        };
        let total = self.used.len();
        let mut held_out = Vec::new();
        let mut measure = |number: usize, levels: [PatchEmbeddings; LEVELS]| -> Result<(), EngineError> {
            let others = others(groups[number]).doing("holding out an OK image")?;
            let grids = others.map(|others| distances(&others, &levels)).transpose().doing("measuring the OK images")?;
            held_out.extend(grids.map(|grids| HeldOut { image: number as u32, group: groups[number], grids }));
            progress(BuildProgress { phase: BuildPhase::Calibrate, done: number + 1, total });
            Ok(())
        };
        if self.reservoirs[0].is_complete() {
            for number in 0..total {
                measure(number, self.kept_patches(number).doing("reading the reservoir")?)?;
            }
            return Ok(held_out);
        }
        // The reservoirs do not hold all patches: the images are read once more.
        let order: Vec<usize> = self.used.iter().map(|used| used.index).collect();
        let mut number = 0;
        read_ahead(self.source, order, |index, image| {
            let patches = self.usable(index, image, |this, image| this.patches(axes, image))?;
            if let Some(patches) = patches {
                measure(number, patches)?;
            }
            number += 1;
            Ok(())
        })?;
        Ok(held_out)
    }

    /// The patches of a used image, all of which the reservoirs hold.
    fn kept_patches(&self, number: usize) -> Result<[PatchEmbeddings; LEVELS], TchError> {
        let UsedImage { height, width, first_patch, .. } = self.used[number];
        let of = |level: usize| -> Result<PatchEmbeddings, TchError> {
            let rows = self.reservoirs[level].rows()?.f_narrow(0, first_patch, height * width)?;
            Ok(PatchEmbeddings { rows, height, width })
        };
        Ok([of(0)?, of(1)?])
    }
}

fn distances(rows: &[NearestRows; LEVELS], levels: &[PatchEmbeddings; LEVELS]) -> Result<[DistanceGrid; LEVELS], TchError> {
    let of = |level: usize| {
        let PatchEmbeddings { rows: patches, height, width } = &levels[level];
        distance_grid(&rows[level].of(&patches.f_to_device(rows[level].device())?)?.distances, *height, *width, 0)
    };
    Ok([of(0)?, of(1)?])
}

fn finite(tensor: &Tensor) -> Result<bool, TchError> {
    Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0)
}
