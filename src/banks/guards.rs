//! The guards that keep a build from replacing a good bank: too few OK images, most of them gone, a bank folder that is not mounted.

use super::BankFolder;
use crate::config::ProductConfig;
use crate::history::Banks;
use crate::platform::folder_io;
use std::fmt;

/// A guard does not allow the build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Over half of the images of the bank in use are gone.
    #[error(
        "refused: the ok folder has {images} and had {previous} when the bank in use was built: over half are gone; put them back, or have a \
         bank built from these with `patchcored rebuild PRODUCT --anew`{}", images.and_left_out()
    )]
    MostAreGone {
        /// The images there are.
        images: ImagesToBuildFrom,
        /// How many the bank in use was built from.
        previous: usize,
    },
    /// There are fewer images than the configuration asks for.
    #[error("refused: the ok folder has {images}, fewer than min_images: {min_images}; add OK images{}", images.and_left_out())]
    TooFew {
        /// The images there are.
        images: ImagesToBuildFrom,
        /// The fewest that the configuration allows.
        min_images: usize,
    },
}

impl Refused {
    /// The images there are and the fewest needed, when the listed images are too few: somebody may be filling the folder.
    pub fn too_few_listed(&self) -> Option<(usize, usize)> {
        match self {
            Self::TooFew { images: ImagesToBuildFrom::Listed(there), min_images } => Some((*there, *min_images)),
            _ => None,
        }
    }
}

/// How many OK images a bank can be built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImagesToBuildFrom {
    /// The images that are listed, before the build.
    Listed(usize),
    /// The images that the build could use.
    Usable {
        /// How many.
        images: usize,
        /// Which it left out, in words.
        left_out: String,
    },
}

impl ImagesToBuildFrom {
    fn count(&self) -> usize {
        match self {
            Self::Listed(images) | Self::Usable { images, .. } => *images,
        }
    }

    fn and_left_out(&self) -> String {
        match self {
            Self::Listed(_) => String::new(),
            Self::Usable { left_out, .. } => format!(" ({left_out})"),
        }
    }
}

impl fmt::Display for ImagesToBuildFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(images) => write!(f, "{images} images"),
            Self::Usable { images, .. } => write!(f, "{images} usable images"),
        }
    }
}

/// The bank folder looks like an empty mount point, or cannot be read. The bank keeper reports it.
#[derive(Debug, thiserror::Error)]
#[error("{0}; mount what should be there; when the bank in use is gone for good, `patchcored rebuild PRODUCT --anew` starts anew")]
pub struct BankAway(String);

/// When the history knows a bank of the product, its folder must answer and hold some part of a bank: a bank that is built into an empty
/// mount point is hidden when the share is back.
///
/// # Errors
/// [`BankAway`] with what the folder lacks; or the history cannot be read.
pub async fn folder_answers(rows: &Banks, product: &ProductConfig) -> anyhow::Result<()> {
    let recorded = rows.active_bank(&product.name).await?;
    let folder = BankFolder::new(&product.bank);
    match (folder_io::work(move || folder.survey()).await?, recorded) {
        (Err(error), _) => Err(BankAway(error.to_string()).into()),
        (Ok(survey), Some(row)) if survey.is_bare() => {
            Err(BankAway(format!("bank folder {}: holds nothing, although version {} is in use", product.bank.display(), row.version))
                .into())
        }
        (Ok(_), _) => Ok(()),
    }
}

/// Allows a build from these images, or says why not. `previous` is the count that the bank in use was built from.
///
/// # Errors
/// [`Refused`] when most of them are gone, or they are too few.
pub fn allow_build(images: ImagesToBuildFrom, min_images: usize, previous: Option<usize>) -> Result<(), Refused> {
    match previous {
        Some(previous) if images.count() * 2 < previous => Err(Refused::MostAreGone { images, previous }),
        _ if images.count() < min_images => Err(Refused::TooFew { images, min_images }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vanishing_folder_does_not_become_a_bank() {
        let listed = ImagesToBuildFrom::Listed;
        let refused = |images, min_images, previous| allow_build(images, min_images, previous).unwrap_err();
        let gone = refused(listed(24), 10, Some(50));
        assert_eq!(gone, Refused::MostAreGone { images: listed(24), previous: 50 });
        let told = gone.to_string();
        assert!(
            told.starts_with("refused: the ok folder has 24 images and had 50 when the bank in use was built: over half are gone"),
            "{told}"
        );
        assert!(told.ends_with("or have a bank built from these with `patchcored rebuild PRODUCT --anew`"), "{told}");
        assert!(allow_build(listed(0), 0, Some(1)).is_err());
        assert_eq!(allow_build(listed(25), 10, Some(50)), Ok(()));
        assert_eq!(allow_build(listed(10), 10, None), Ok(()));
        let usable = ImagesToBuildFrom::Usable { images: 9, left_out: "1 images left out: a.png".into() };
        let told = refused(usable, 10, None).to_string();
        let expected = "refused: the ok folder has 9 usable images, fewer than min_images: 10; add OK images (1 images left out: a.png)";
        assert_eq!(told, expected);
    }
}
