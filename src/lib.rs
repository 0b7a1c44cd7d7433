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
//! Each room of `src/` is one concern. The rooms stand in layers, and a room uses only those below it:
//! `main → cli, demo → daemon → services, line → supervisor, tune, backup → banks, engine → selftest, inspect, evaluation, snapshot → config, routing, intake,
//! history → patchcore, imaging, database, yaml → telemetry, platform → codes, domain`.
//!
//! - [`cli`] has one thin file per command; [`demo`] plays a synthetic line and drives the program from outside.
//! - [`preflight`] says what on this machine would hinder the line.
//! - [`daemon`] has the order of start, reload and stop, and is the only place that knows every room.
//! - [`line`](mod@line) records images, hands them out and inspects them. The services work beside it: [`rebuild`], [`actions`],
//!   [`outbox`], [`retention`] and [`monitoring`]. [`supervisor`] knows all workers by name.
//! - [`banks`] has the versions of banks, the one in use, and the build; [`engine`] is the thread that owns networks and loaded banks.
//! - [`backup`] saves the history, the configuration and the banks of a line, and puts them back.
//! - [`inspect`] is the way of one image, for the daemon and for commands alike; [`evaluation`] measures scores, and
//!   [`selftest`] says how small a defect a bank finds. [`tune`] compares build settings with both.
//! - [`config`] turns YAML, which [`yaml`] reads, into a checked configuration; [`routing`] finds the product of a file; [`intake`] watches drop folders;
//!   [`history`] has the rows of the line and a handle for each concern, and [`archive`] moves old ones out of it. [`database`] is the file below it; no other room names sqlx.
//! - [`snapshot`] says how the line stands at one moment, for all who tell it.
//! - [`patchcore`] is the engine's mathematics, the only place that names tch; [`imaging`] is pixels in, pixels out.
//! - [`platform`] hides the operating system, and [`telemetry`] is what the program tells of itself.
//! - [`codes`] has every stable code with its meaning, and [`domain`] the shared words as plain data.
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

pub mod actions;
pub mod archive;
pub mod backup;
pub mod banks;
pub mod cli;
pub mod codes;
pub mod config;
pub mod daemon;
pub mod database;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod evaluation;
pub mod history;
pub mod imaging;
pub mod inspect;
pub mod intake;
pub mod line;
pub mod monitoring;
pub mod outbox;
pub mod patchcore;
pub mod platform;
pub mod preflight;
pub mod rebuild;
pub mod retention;
pub mod routing;
pub mod selftest;
pub mod snapshot;
pub mod supervisor;
pub mod telemetry;
pub mod tune;
pub mod yaml;
