//! The guards that keep a build from replacing a good bank: too few OK images, most of them gone, a bank folder that is not mounted.

use super::BankFolder;
use crate::config::ProductConfig;
use crate::history::HistoryStore;
use crate::platform::folder_io;

/// A guard does not allow the build.
#[derive(Debug, thiserror::Error)]
#[error("refused: {0}")]
pub struct Refused(pub String);

/// The bank folder looks like an empty mount point, or cannot be read. The bank keeper reports it.
#[derive(Debug, thiserror::Error)]
#[error("{0}; mount what should be there; when the bank in use is gone for good, `patchcored rebuild PRODUCT --anew` starts anew")]
pub struct BankAway(String);

/// When the history knows a bank of the product, its folder must answer and hold some part of a bank: a bank that is built into an empty
/// mount point is hidden when the share is back.
///
/// # Errors
/// [`BankAway`] with what the folder lacks; or the history cannot be read.
pub async fn folder_answers(store: &HistoryStore, product: &ProductConfig) -> anyhow::Result<()> {
    let recorded = store.active_bank(&product.name).await?;
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

/// Why a bank must not be built from `images` OK images, if so; `noun` is their name in the message. `previous` is the count that the
/// bank in use was built from.
pub fn refuse_build(images: usize, noun: &str, min_images: usize, previous: Option<usize>) -> Option<String> {
    if let Some(previous) = previous
        && images * 2 < previous
    {
        return Some(format!(
            "the ok folder has {images} {noun} and had {previous} when the bank in use was built: over half are gone; \
             put them back, or have a bank built from these with `patchcored rebuild PRODUCT --anew`"
        ));
    }
    (images < min_images).then(|| format!("the ok folder has {images} {noun}, fewer than min_images: {min_images}; add OK images"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vanishing_folder_does_not_become_a_bank() {
        assert!(refuse_build(24, "images", 10, Some(50)).unwrap().contains("over half are gone"));
        assert!(refuse_build(0, "images", 0, Some(1)).is_some());
        assert_eq!(refuse_build(25, "images", 10, Some(50)), None);
        assert!(refuse_build(9, "images", 10, None).unwrap().contains("min_images: 10"));
        assert_eq!(refuse_build(10, "images", 10, None), None);
    }
}
