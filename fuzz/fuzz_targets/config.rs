//! The text of a configuration file. What is accepted can be routed, or is refused with a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchcored::config::Config;
use patchcored::routing::rules::check_routing;

fuzz_target!(|text: &str| {
    match Config::parse(text) {
        Ok(config) => drop(check_routing(&config)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
