//! The shape of `retention:` of a product.

use super::{Span, Word, within};
use crate::config::retention::{AGE, MinFree};
use crate::inspection::FileKind;
use schemars::JsonSchema;
use serde::Deserialize;

/// `retention:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(in crate::config) struct RawRetention {
    /// Mask, overlay and the other outputs of images decided `ok` are deleted this long after the decision, as `14d`. Without it, never.
    #[schemars(transform = within(AGE))]
    pub ok_outputs: Option<Span>,
    /// The same for images decided `ng`. Without it, never.
    #[schemars(transform = within(AGE))]
    pub ng_outputs: Option<Span>,
    /// The images themselves that were decided `ok` are deleted this long after the decision, as `30d`. Without it, never.
    #[schemars(transform = within(AGE))]
    pub ok_images: Option<Span>,
    /// The same for images decided `ng`. Without it, never.
    #[schemars(transform = within(AGE))]
    pub ng_images: Option<Span>,
    /// Free space to keep on the disks of the drop folders and of `outputs.dir`, as `10%` of the disk or `20GB`. When there is less, the
    /// oldest files that `when_full` names are deleted, whatever their age, until there is enough again. Without it, nothing is deleted
    /// for want of space.
    pub min_free: Option<MinFree>,
    /// The files that `min_free` may delete: any of ok_outputs, ok_images, ng_outputs, ng_images. They always go in this order.
    pub when_full: Option<Vec<Word<FileKind>>>,
    /// No file is deleted earlier than this after the decision, even when the disk is full.
    #[schemars(transform = within(AGE))]
    pub keep_at_least: Option<Span>,
}
