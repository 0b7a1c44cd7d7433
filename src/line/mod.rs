//! The way of images through the daemon: recorded, handed out, inspected, decided; and the tasks that look after waiting images.

mod aftermath;
mod attempt;
pub mod calendar;
mod camera_health;
mod clock_watch;
mod comparing;
mod context;
mod dispatcher;
mod full_disk;
mod in_hand;
mod inspector;
mod intake;
mod not_written;
mod products;
pub mod profile;
mod recorder;
mod recording;
mod references;
mod retry;
mod setback;
mod share;
mod waits;

pub use aftermath::look_for_deaths;
pub use camera_health::CameraHealth;
pub use clock_watch::{ClockWatch, LOOK as CLOCK_LOOK};
pub use context::{ImageFiles, InspectorContext, Signals};
pub use dispatcher::{LOOK as DISPATCHER_LOOK, run as dispatch};
pub use full_disk::{LOOK as FULL_DISK_LOOK, watch_full_disk};
pub use intake::start_intake;
pub use products::Products;
pub use recorder::run as record_arrivals;
pub use recording::RecorderContext;
pub use references::read_references;
pub use waits::{LOOK as WAITS_LOOK, watch_waits};
