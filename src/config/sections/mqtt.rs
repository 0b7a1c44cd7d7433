//! `mqtt:`: decisions as messages for a broker.

use crate::config::collector::Problems;
use crate::config::values::{FilePath, Word};
use crate::domain::Publish;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// The longest client id and topic; far more than people can read.
const LONGEST_NAME: usize = 256;

/// The smallest and the largest value, here and in the schema.
const KEEP: (u32, u32) = (1000, 10_000_000);

/// `mqtt:`
#[derive(Debug, Clone, PartialEq)]
pub struct MqttConfig {
    /// Name or address of the broker; an IPv6 address is in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The certificates that must have signed the broker's; `None` = those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The name of this client; `None` = made from the name of the machine.
    pub client_id: Option<String>,
    /// The user name, if one is needed.
    pub username: Option<String>,
    /// The file with the password, if one is needed.
    pub password_file: Option<PathBuf>,
    /// The topic; `{product}` and `{decision}` are filled in.
    pub topic: String,
    /// Which decisions are published.
    pub publish: Publish,
    /// Messages kept while the broker is away.
    pub keep: u64,
}

impl MqttConfig {
    /// The broker as in the configuration: `mqtt://HOST:PORT`.
    pub fn broker(&self) -> String {
        format!("{}://{}:{}", if self.tls { "mqtts" } else { "mqtt" }, self.host, self.port)
    }
}

/// The shape of `mqtt:` in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawMqtt {
    /// The broker: `mqtt://HOST:PORT`, or `mqtts://HOST:PORT` for TLS; without a port 1883, with TLS 8883. Without it nothing is published.
    #[schemars(regex(pattern = "^mqtts?://[^@]+$"))]
    pub broker: Option<String>,
    /// With `mqtts`: the PEM file with the certificates that the broker's certificate is checked against. Without it, the certificates
    /// that the system trusts.
    pub ca: Option<FilePath>,
    /// The name of this client. No other client of the broker may have it. Without it, the name is `patchcored-` and the name of the
    /// machine.
    #[schemars(regex(pattern = "^[!-~]+$"))]
    pub client_id: Option<String>,
    /// The user name for the broker, if it asks for one.
    pub username: Option<String>,
    /// The file whose first line is the password. Only its owner and its group may have access to it.
    pub password_file: Option<FilePath>,
    /// The topic of a message; `{product}` and `{decision}` (`ok` or `ng`) are filled in.
    #[schemars(regex(pattern = "^[^$+#][^+#]*$"))]
    pub topic: Option<String>,
    /// Which decisions are published.
    pub publish: Option<Word<Publish>>,
    /// The number of messages kept in the database while the broker is away. Beyond that the oldest are dropped, and an event says how
    /// many.
    #[schemars(range(min = KEEP.0, max = KEEP.1))]
    pub keep: Option<u32>,
}

/// `None` without a broker. The other keys are checked in any case.
pub(in crate::config) fn check(raw: RawMqtt, problems: &mut Problems) -> Option<MqttConfig> {
    let broker = raw.broker.map(|broker| check_broker(&broker, problems));
    let ca = raw.ca.map(|FilePath(path)| problems.path("mqtt.ca", &path));
    let tls = broker.as_ref().is_none_or(|broker| broker.tls);
    problems.need(ca.is_none() || tls, "mqtt.ca", "is for an encrypted connection; write `mqtts://` in mqtt.broker, or remove it");
    if let Some(id) = &raw.client_id {
        let usable = (1..=LONGEST_NAME).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
        problems.need(usable, "mqtt.client_id", format!("`{id}` is no client id; use letters, digits and `-`, as `patchcored-line1`"));
    }
    let password_file = raw.password_file.map(|FilePath(path)| problems.path("mqtt.password_file", &path));
    problems.need(password_file.is_none() || raw.username.is_some(), "mqtt.username", "is missing beside mqtt.password_file; add it");
    let topic = raw.topic.unwrap_or_else(|| "patchcored/{product}/{decision}".to_owned());
    if let Err(fault) = check_topic(&topic) {
        problems.add("mqtt.topic", format!("`{topic}` {fault}; write for example `plant1/line3/{{product}}/{{decision}}`"));
    }
    let keep = raw.keep.unwrap_or(100_000);
    problems.need_range("mqtt.keep", keep, KEEP, " messages");
    let Broker { host, port, tls } = broker?;
    Some(MqttConfig {
        host,
        port,
        tls,
        ca,
        client_id: raw.client_id,
        username: raw.username,
        password_file,
        topic,
        publish: raw.publish.map(|Word(publish)| publish).unwrap_or_default(),
        keep: u64::from(keep),
    })
}

/// A broker as the file names it.
#[derive(Default)]
struct Broker {
    host: String,
    port: u16,
    tls: bool,
}

/// Why a text does not name a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum BrokerError {
    #[error("does not begin with `mqtt://` or `mqtts://`")]
    Scheme,
    #[error("has something other than a port after the host")]
    AfterHost,
    #[error("has no port from 1 to 65535 after the host")]
    Port,
    #[error("has an address that certificates are not checked against; use the broker's name or its IPv4 address")]
    Address,
    #[error("names no host")]
    Host,
}

/// Why a text is not a topic to publish to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum TopicError {
    #[error("has not between 1 and {LONGEST_NAME} bytes")]
    Length,
    #[error("has something other than {{product}} and {{decision}} in braces")]
    Braces,
    #[error("has a `+` or `#`, with which messages are subscribed to, not published")]
    Wildcard,
    #[error("begins with `$` or has a control character, which brokers refuse")]
    Refused,
}

fn check_broker(text: &str, problems: &mut Problems) -> Broker {
    // Otherwise the message would repeat a password that somebody wrote here.
    if text.contains('@') {
        problems.add("mqtt.broker", "names a user; put the name into mqtt.username and the password into the file mqtt.password_file");
        return Broker::default();
    }
    parse_broker(text).unwrap_or_else(|fault| {
        let message = format!("`{text}` {fault}; write for example `mqtt://192.168.0.10:1883`, or `mqtts://broker.plant:8883` for TLS");
        problems.add("mqtt.broker", message);
        Broker::default()
    })
}

fn parse_broker(text: &str) -> Result<Broker, BrokerError> {
    let (tls, rest) = match text.split_once("://") {
        Some(("mqtt", rest)) => (false, rest),
        Some(("mqtts", rest)) => (true, rest),
        _ => return Err(BrokerError::Scheme),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // An IPv6 address contains colons, so it is in brackets.
    let end = if rest.starts_with('[') { rest.find(']').map_or(0, |at| at + 1) } else { rest.find(':').unwrap_or(rest.len()) };
    let (host, port) = rest.split_at(end);
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => {
            if tls {
                8883
            } else {
                1883
            }
        }
        None => return Err(BrokerError::AfterHost),
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(BrokerError::Port)?,
    };
    let is_address =
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    match (is_address, is_name) {
        (true, _) if tls => Err(BrokerError::Address),
        (false, false) => Err(BrokerError::Host),
        _ => Ok(Broker { host: host.to_owned(), port, tls }),
    }
}

fn check_topic(topic: &str) -> Result<(), TopicError> {
    let plain = topic.replace("{product}", "").replace("{decision}", "");
    if topic.is_empty() || topic.len() > LONGEST_NAME {
        Err(TopicError::Length)
    } else if plain.contains(['{', '}']) {
        Err(TopicError::Braces)
    } else if plain.contains(['+', '#']) {
        Err(TopicError::Wildcard)
    } else if topic.starts_with('$') || plain.contains(char::is_control) {
        Err(TopicError::Refused)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::collector::check_alone;

    #[test]
    fn brokers_are_told_apart() {
        for (text, host, port, tls) in [
            ("mqtt://127.0.0.1", "127.0.0.1", 1883, false),
            ("mqtt://broker.plant:1884/", "broker.plant", 1884, false),
            ("mqtts://broker.plant", "broker.plant", 8883, true),
            ("mqtt://[::1]:9000", "[::1]", 9000, false),
            ("mqtt://[fe80::1]", "[fe80::1]", 1883, false),
        ] {
            let broker = parse_broker(text).unwrap();
            assert_eq!((broker.host.as_str(), broker.port, broker.tls), (host, port, tls), "{text}");
        }
        for text in [
            "broker",
            "tcp://broker:1883",
            "mqtt://",
            "mqtt://:1883",
            "mqtt://b:",
            "mqtt://b:0",
            "mqtt://b:65536",
            "mqtt://b/x",
            "mqtt://[::1",
            "mqtts://[::1]",
            "mqtt://a b",
            "mqtt://[::1]1",
        ] {
            assert!(parse_broker(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_the_broker_is_not_repeated() {
        let (_, problems) = check_alone("broker: 'mqtt://me:secret@broker'", check);
        assert!(problems.starts_with("mqtt.broker: names a user") && !problems.contains("secret"), "{problems}");
    }

    #[test]
    fn topics_name_one_place() {
        for (topic, error) in [
            ("a/{product}/{decision}", None),
            ("", Some(TopicError::Length)),
            ("{prodct}", Some(TopicError::Braces)),
            ("a/#", Some(TopicError::Wildcard)),
            ("$SYS", Some(TopicError::Refused)),
        ] {
            assert_eq!(check_topic(topic).err(), error, "{topic}");
        }
        assert_eq!(TopicError::Braces.to_string(), "has something other than {product} and {decision} in braces");
    }
}
