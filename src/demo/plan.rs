//! What the synthetic line makes: the OK images of every product and the pictures that its camera will send, all from one seed.

use super::defects::DefectKind;
use super::disc::{self, Disc};
use super::photo::{self, Photo};
use super::weave::{self, Weave};
use anyhow::Context;
use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, ImageFormat, RgbImage};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::io::Cursor;

/// OK images that the first bank of a product is built from.
const OK_IMAGES: usize = 36;
/// OK images that an operator adds in mid-run, so that the bank is built anew.
const ADDED_IMAGES: usize = 4;
/// Good parts in the stream of a product.
const GOOD_PARTS: usize = 24;
/// Defective parts of each kind in the stream of a product.
const PARTS_PER_DEFECT: usize = 3;

/// What the line makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Product {
    /// A machined disc with bolt holes.
    Disc,
    /// A woven fabric.
    Weave,
}

impl Product {
    /// All of them, in the order of the report.
    pub const ALL: [Product; 2] = [Product::Disc, Product::Weave];

    /// The name in the configuration and the database.
    pub fn name(self) -> &'static str {
        match self {
            Product::Disc => "disc",
            Product::Weave => "weave",
        }
    }

    /// What can go wrong with it.
    pub fn defects(self) -> [DefectKind; 4] {
        match self {
            Product::Disc => DefectKind::DISC,
            Product::Weave => DefectKind::WEAVE,
        }
    }

    /// Makes one part and takes its picture; `None` is a good part.
    pub fn photograph(self, defect: Option<DefectKind>, rng: &mut ChaCha8Rng) -> Photo {
        match self {
            Product::Disc => photo::take(&Disc::random(defect, rng), disc::SPREAD, rng),
            Product::Weave => photo::take(&Weave::random(defect, rng), weave::SPREAD, rng),
        }
    }
}

/// The truth about one file of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartTruth {
    /// A good part.
    Good,
    /// A part with this defect.
    Defect(DefectKind),
    /// No whole image; it must end as `failed`.
    Broken,
}

/// How the camera writes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In one go.
    Whole,
    /// Slowly, in pieces under the final name.
    Pieces,
    /// Under a temporary name that is then changed.
    Rename,
}

/// One file as it will arrive in a folder.
#[derive(Debug, Clone)]
pub struct Frame {
    /// File name.
    pub name: String,
    /// Content of the file.
    pub bytes: Vec<u8>,
    /// How it arrives.
    pub delivery: Delivery,
    /// What is on it.
    pub truth: PartTruth,
    /// Where the defect is; only for [`PartTruth::Defect`].
    pub mask: Option<GrayImage>,
}

/// Everything that one product will need.
#[derive(Debug)]
pub struct ProductPlan {
    /// Whose plan this is.
    pub product: Product,
    /// OK images for the first bank.
    pub ok: Vec<Frame>,
    /// OK images for the second one.
    pub added: Vec<Frame>,
    /// What the camera sends, in this order.
    pub stream: Vec<Frame>,
}

impl ProductPlan {
    /// Draws all pictures of `product`. The same seed gives the same bytes.
    pub fn draw(product: Product, seed: u64) -> anyhow::Result<ProductPlan> {
        let good = |series: u64, label: &str, count: usize| -> anyhow::Result<Vec<Frame>> {
            (0..count).map(|index| frame(product, None, format!("{label}_{:04}", index + 1), index, seed, series)).collect()
        };
        Ok(ProductPlan {
            product,
            ok: good(0, "ok", OK_IMAGES)?,
            added: good(1, "ok_added", ADDED_IMAGES)?,
            stream: stream(product, seed)?,
        })
    }
}

fn stream(product: Product, seed: u64) -> anyhow::Result<Vec<Frame>> {
    let defective = product.defects().into_iter().flat_map(|kind| std::iter::repeat_n(Some(kind), PARTS_PER_DEFECT));
    let mut parts: Vec<Option<DefectKind>> = std::iter::repeat_n(None, GOOD_PARTS).chain(defective).collect();
    parts.shuffle(&mut generator(product, seed, 2, 0));
    let mut frames = Vec::with_capacity(parts.len() + 2);
    for (index, defect) in parts.into_iter().enumerate() {
        frames.push(frame(product, defect, format!("{}_{:04}", product.name(), index + 1), index, seed, 3)?);
    }
    if product == Product::Disc {
        // Early in the stream, so that the daemon's patience with them ends before the stream does.
        let photo = product.photograph(None, &mut generator(product, seed, 4, 0));
        let mut cut = jpeg(&photo.image)?;
        cut.truncate(cut.len() * 2 / 3);
        let broken =
            |name: &str, bytes| Frame { name: name.to_owned(), bytes, delivery: Delivery::Whole, truth: PartTruth::Broken, mask: None };
        frames.insert(4, broken("disc_cut_short.jpg", cut));
        frames.insert(7, broken("disc_no_image.jpg", b"The camera's disk was full, so this is all there is.\n".to_vec()));
    }
    Ok(frames)
}

/// Draws one part. Every picture has a generator of its own, so that none depends on the others.
fn frame(product: Product, defect: Option<DefectKind>, stem: String, index: usize, seed: u64, series: u64) -> anyhow::Result<Frame> {
    let photo = product.photograph(defect, &mut generator(product, seed, series, index as u64 + 1));
    let (ending, bytes) = if index % 4 == 3 { ("png", png(&photo.image)?) } else { ("jpg", jpeg(&photo.image)?) };
    let delivery = [Delivery::Whole, Delivery::Pieces, Delivery::Rename][index % 3];
    let (truth, mask) = defect.map_or((PartTruth::Good, None), |kind| (PartTruth::Defect(kind), Some(photo.mask)));
    Ok(Frame { name: format!("{stem}.{ending}"), bytes, delivery, truth, mask })
}

fn generator(product: Product, seed: u64, series: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((product as u64) << 48 | series << 32 | index);
    rng
}

/// The image as a JPEG of high quality.
pub fn jpeg(image: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 93).encode_image(image).context("cannot encode a JPEG")?;
    Ok(bytes)
}

fn png(image: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).context("cannot encode a PNG")?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_part_and_another_seed_another() {
        for product in Product::ALL {
            let draw = |seed| product.photograph(Some(product.defects()[0]), &mut generator(product, seed, 3, 1));
            assert_eq!(draw(5), draw(5));
            assert_ne!(draw(5).image, draw(6).image);
        }
    }

    #[test]
    fn every_defect_shows_and_has_a_mask_and_a_good_part_has_none() {
        for product in Product::ALL {
            for index in 0..2 {
                let picture = |defect| product.photograph(defect, &mut generator(product, 11, 3, index));
                let good = picture(None);
                assert!(good.mask.pixels().all(|p| p.0[0] == 0));
                for kind in product.defects() {
                    let bad = picture(Some(kind));
                    let area = bad.mask.pixels().filter(|p| p.0[0] == 255).count();
                    assert!((60..4000).contains(&area), "{}: {area} pixels", kind.name());
                }
            }
        }
    }

    #[test]
    fn a_stream_is_what_it_claims_to_be() {
        let frames = stream(Product::Disc, 1).unwrap();
        let count = |wanted: fn(&PartTruth) -> bool| frames.iter().filter(|f| wanted(&f.truth)).count();
        assert_eq!(count(|t| *t == PartTruth::Good), GOOD_PARTS);
        assert_eq!(count(|t| matches!(t, PartTruth::Defect(_))), 4 * PARTS_PER_DEFECT);
        assert_eq!(count(|t| *t == PartTruth::Broken), 2);
        let names: std::collections::HashSet<_> = frames.iter().map(|f| &f.name).collect();
        assert_eq!(names.len(), frames.len());
        for frame in &frames {
            let whole = frame.bytes.ends_with(&[0xFF, 0xD9]) || frame.bytes.ends_with(b"IEND\xAE\x42\x60\x82");
            assert_eq!(whole, frame.truth != PartTruth::Broken, "{}", frame.name);
            assert_eq!(frame.mask.is_some(), matches!(frame.truth, PartTruth::Defect(_)));
        }
    }
}
