//! The real daemon, driven from outside: files, signals, database.

mod act;
mod full_disk;
mod guards;
mod history;
mod hung_share;
mod intake;
mod main_job;
mod mqtt;
mod one_daemon;
mod profiles;
mod rebuild;
mod rebuild_safety;
mod reload;
mod requeue;
mod retention;
mod rollback;
mod service;
mod status;
mod stop;
mod systemd;
mod turns;
mod unit;
mod watchdog;
