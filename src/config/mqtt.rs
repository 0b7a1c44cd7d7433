//! `mqtt:`

use super::MqttConfig;
use super::check::Problems;
use super::raw::{RawMqtt, Word};

/// Longest client id and topic; far more than anybody reads.
const LONGEST_NAME: usize = 256;

/// Smallest and largest value that is accepted, here and in the schema.
pub(super) const KEEP: (u32, u32) = (1000, 10_000_000);

/// `None` without a broker; what else is set is checked all the same.
pub(super) fn check(raw: RawMqtt, problems: &mut Problems) -> Option<MqttConfig> {
    let broker = raw.broker.map(|broker| check_broker(&broker, problems));
    let ca = raw.ca.map(|path| problems.path("mqtt.ca", &path));
    let tls = broker.as_ref().is_none_or(|broker| broker.tls);
    problems.need(ca.is_none() || tls, "mqtt.ca", "is for an encrypted connection; write `mqtts://` in mqtt.broker, or remove it");
    if let Some(id) = &raw.client_id {
        let usable = (1..=LONGEST_NAME).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
        problems.need(usable, "mqtt.client_id", format!("`{id}` is no client id; use letters, digits and `-`, as `patchcored-line1`"));
    }
    let password_file = raw.password_file.map(|path| problems.path("mqtt.password_file", &path));
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

#[derive(Default)]
struct Broker {
    host: String,
    port: u16,
    tls: bool,
}

fn check_broker(text: &str, problems: &mut Problems) -> Broker {
    // A password that was written here would otherwise be repeated in the message.
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

fn parse_broker(text: &str) -> Result<Broker, &'static str> {
    let (tls, rest) = match text.split_once("://") {
        Some(("mqtt", rest)) => (false, rest),
        Some(("mqtts", rest)) => (true, rest),
        _ => return Err("does not begin with `mqtt://` or `mqtts://`"),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // An IPv6 address has colons of its own and so stands in brackets.
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
        None => return Err("has something other than a port after the host"),
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or("has no port from 1 to 65535 after the host")?,
    };
    let is_address =
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    match (is_address, is_name) {
        (true, _) if tls => Err("has an address that certificates are not checked against; use the broker's name or its IPv4 address"),
        (false, false) => Err("names no host"),
        _ => Ok(Broker { host: host.to_owned(), port, tls }),
    }
}

fn check_topic(topic: &str) -> Result<(), &'static str> {
    let plain = topic.replace("{product}", "").replace("{decision}", "");
    if topic.is_empty() || topic.len() > LONGEST_NAME {
        Err("has not between 1 and 256 bytes")
    } else if plain.contains(['{', '}']) {
        Err("has something other than {product} and {decision} in braces")
    } else if plain.contains(['+', '#']) {
        Err("has a `+` or `#`, with which messages are subscribed to, not published")
    } else if topic.starts_with('$') || plain.contains(char::is_control) {
        Err("begins with `$` or has a control character, which brokers refuse")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let problems =
            super::super::Config::parse("database: /h\nproducts: []\nmqtt: {broker: 'mqtt://me:secret@broker'}\n").unwrap_err().to_string();
        assert!(problems.contains("mqtt.broker: names a user") && !problems.contains("secret"), "{problems}");
    }
}
