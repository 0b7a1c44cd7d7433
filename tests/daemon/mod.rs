//! The real daemon, driven from outside: files, signals, database.

mod history;
mod intake;
mod main_job;
mod rebuild;
mod service;
mod stop;
