//! `patchcored`: visual inspection of production lines with PatchCore memory banks.
//!
//! # The way of an image
//!
//! ```text
//! drop folder ─▶ intake ─▶ row `pending` ─▶ routing: whose is it ─▶ imaging: decode, resize ─▶ patchcore: network, distances to the bank
//!                                                                                                             │
//!                 row `done`, in one transaction ◀─ outputs, each whole or not there ◀─ mask, score, decision ─┘
//! ok folder   ─▶ banks: debounce and guards ─▶ build, a child process ─▶ new version ─▶ `current` link swapped
//! ```
//!
//! # The map
//!
//! `main → cli → daemon → {intake, routing, banks, patchcore, imaging, history, config} → inspection`: a module may use those to its right,
//! stages do not use each other (but [`banks`] uses [`patchcore`]), and [`daemon`] is the only place that knows every stage.
//!
//! - [`cli`] has one thin file per command; [`demo`] plays a synthetic line and drives the program from outside.
//! - [`daemon`] is one run of the line: tasks, bounded channels, the order of start and stop, signals and systemd.
//! - [`intake`] watches drop folders and tells complete files; [`routing`] finds their product, without any I/O.
//! - [`banks`] keeps bank versions on disk and in memory and knows when to build; [`patchcore`] is the engine, the only place that names tch.
//! - [`imaging`] is pixels in, pixels out; [`history`] is the only place that names sqlx; [`config`] turns YAML into a checked configuration.
//! - [`inspection`] has the shared words as plain data, [`codes`] the codes that the log, the history and errors carry, [`error`] the errors
//!   by their consequence, [`files`] files that appear whole, and [`crash_point`] the named places at which tests let the daemon die.
//!
//! # What always holds
//!
//! 1. Every image is a row before anything else happens to it; arrived = done + failed + pending. Events of the kernel are hints, scans
//!    are the truth.
//! 2. The durable order of one image is: row `pending` → outputs under temporary names, synced, renamed → one transaction `done`. A crash
//!    between any two is made good by the next start.
//! 3. Nothing is decided on part of a file.
//! 4. `ok` needs proof: whatever is not a number at most `image_tau` is `ng`.
//! 5. A bank is published whole or not at all; a failed build leaves the old one in use.
//! 6. One bad image never stops the line, and a bad configuration never starts it.
//! 7. What hangs, fills up or fails holds up its own images only.
//! 8. What goes on beside the line (monitoring, retention, requests of people) never holds up an image.
//! 9. Stop goes in the order of the flow: intake → the images in hand → outputs → commit → close the history → exit.

pub mod banks;
pub mod cli;
pub mod codes;
pub mod config;
pub mod crash_point;
pub mod daemon;
pub mod demo;
pub mod error;
pub mod files;
pub mod history;
pub mod imaging;
pub mod inspection;
pub mod intake;
pub mod patchcore;
pub mod routing;
