//! JPEG, baseline and progressive (ITU-T T.81): a walk over the markers, then libjpeg-turbo (`mozjpeg`), made strict.
//!
//! A bank's scores depend on single grey levels: a decoder that rounds differently from OpenCV's libjpeg-turbo moved image scores by up to
//! 1.2 %. Therefore libjpeg runs with its default settings. libjpeg repairs damage and only warns, so here every warning is an error: coded
//! data that ends early, runs on or lacks a marker makes the file incomplete. Warnings about the header alone are repaired before: the
//! picture is the same, and a sloppy header does not mean a broken transfer.

mod walk;

use super::canvas::Canvas;
use super::fault::Fault;
use super::limits::DecodeLimits;
use super::samples::Raw;
use mozjpeg::Decompress;
use mozjpeg::decompress::Format;
use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr};
use std::borrow::Cow;
use std::ffi::c_int;
use std::panic::{catch_unwind, resume_unwind};
use walk::{damaged, walk};

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raw, Fault> {
    let told = walk(bytes, limits)?;
    let clean = told.cleaned(bytes);
    let copied = if matches!(clean, Cow::Owned(_)) { bytes.len() } else { 0 };
    limits.check_memory((bytes.len() + copied) as u64 + told.memory())?;
    let decoded = catch_unwind(|| pixels(&clean)).unwrap_or_else(|_| Err(damaged("its coded data end early, run on or do not fit")));
    let (width, height, channels, pixels) = decoded?;
    if pixels.len() as u64 != u64::from(width) * u64::from(height) * u64::from(channels) {
        return Err(damaged("too few pixels"));
    }
    let canvas = Canvas::of_bytes((width, height), channels.into(), pixels);
    Ok(Raw { orientation: told.orientation, lossy: true, ..Raw::new(canvas) })
}

/// Width, height, channels and the samples, interleaved. Unwinds, without a message, on the first complaint of libjpeg.
fn pixels(bytes: &[u8]) -> Result<(u32, u32, u8, Vec<u8>), Fault> {
    let failed = |e: std::io::Error| damaged(e);
    let format = Decompress::builder().with_err(strict()).from_mem(bytes).and_then(Decompress::image).map_err(failed)?;
    let (mut started, channels) = match format {
        Format::Gray(started) => (started, 1),
        Format::RGB(started) => (started, 3),
        Format::CMYK(_) => return Err(damaged("four colour components")),
    };
    let (width, height) = (started.width() as u32, started.height() as u32);
    let pixels = started.read_scanlines().map_err(failed)?;
    started.finish().map_err(failed)?;
    Ok((width, height, channels, pixels))
}

/// Error handlers for libjpeg that stop at errors and warnings alike. Their text cannot be read without `unsafe`.
fn strict() -> jpeg_error_mgr {
    extern "C-unwind" fn error(_: &mut jpeg_common_struct) {
        // Unlike a panic this runs no hook and prints nothing.
        resume_unwind(Box::new(()));
    }
    extern "C-unwind" fn message(_: &mut jpeg_common_struct, level: c_int) {
        // Warnings have level -1, traces 0 and above.
        if level < 0 {
            resume_unwind(Box::new(()));
        }
    }
    extern "C-unwind" fn nothing(_: &mut jpeg_common_struct) {}
    jpeg_error_mgr {
        error_exit: Some(error),
        emit_message: Some(message),
        output_message: Some(nothing),
        format_message: None,
        reset_error_mgr: Some(nothing),
        msg_code: 0,
        msg_parm: Default::default(),
        trace_level: 0,
        num_warnings: 0,
        jpeg_message_table: std::ptr::null(),
        last_jpeg_message: 0,
        addon_message_table: std::ptr::null(),
        first_addon_message: 0,
        last_addon_message: 0,
    }
}
