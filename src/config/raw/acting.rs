//! `on_ng:` and `mqtt:`

use super::super::{mqtt, on_ng};
use super::{Span, Word, within};
use crate::inspection::Publish;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// `on_ng:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(in crate::config) struct RawOnNg {
    /// The program with its whole path, and its arguments, each an entry of its own, as `[/usr/local/bin/reject, --station, "3"]`. No
    /// shell is used. Without it nothing is run.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// A command that takes longer is killed with all processes that it started.
    #[schemars(transform = within(on_ng::TIMEOUT))]
    pub timeout: Option<Span>,
    /// Commands of this product that may run at the same time. More defects wait for their turn.
    #[schemars(range(min = on_ng::CONCURRENT.0, max = on_ng::CONCURRENT.1))]
    pub concurrent: Option<u32>,
    /// For an image that came longer ago the command is not run any more, as the part has left the station: about as long as a part takes
    /// from the camera to the place where it is rejected. An event tells of each part that was missed.
    #[schemars(transform = within(on_ng::MAX_AGE))]
    pub max_age: Option<Span>,
}

/// `mqtt:`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a section of keys")]
pub(in crate::config) struct RawMqtt {
    /// The broker: `mqtt://HOST:PORT`, or `mqtts://HOST:PORT` for TLS; without a port 1883, with TLS 8883. Without it nothing is published.
    #[schemars(regex(pattern = "^mqtts?://[^@]+$"))]
    pub broker: Option<String>,
    /// With `mqtts`: PEM file with the certificates that the broker's is checked against. Without it those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The name of this client; no other client of the broker may have it. Without it `patchcored-` and the name of the machine.
    #[schemars(regex(pattern = "^[!-~]+$"))]
    pub client_id: Option<String>,
    /// The user name for the broker, if it asks for one.
    pub username: Option<String>,
    /// The file whose first line is the password; others than its owner and group may have no access to it.
    pub password_file: Option<PathBuf>,
    /// The topic of a message; `{product}` and `{decision}` (`ok` or `ng`) are filled in.
    #[schemars(regex(pattern = "^[^$+#][^+#]*$"))]
    pub topic: Option<String>,
    /// Which decisions are published.
    pub publish: Option<Word<Publish>>,
    /// Messages kept in the database while the broker is away. Beyond that the oldest are dropped, and an event says how many.
    #[schemars(range(min = mqtt::KEEP.0, max = mqtt::KEEP.1))]
    pub keep: Option<u32>,
}
