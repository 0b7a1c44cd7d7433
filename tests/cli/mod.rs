//! The commands as a person types them.

mod as_service;
mod bad_input;
mod by_hand;
mod config;
mod config_reference;
mod overlays;
mod selftest;
mod tune;
