//! A wall clock for one daemon that a test sets as it likes; the time since the computer was started goes on as it does.

use super::{Daemon, Line, arg, skipped};
use std::path::PathBuf;
use std::process::Command;

/// The wall clock is off by the seconds that stand in a file. Only what asks the C library sees it; the kernel's clock is left alone.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long off(void) {
    const char *path = getenv("TEST_CLOCK_OFFSET");
    char text[32];
    int file, length;
    if (!path || (file = open(path, O_RDONLY | O_CLOEXEC)) < 0) return 0;
    length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return 0;
    text[length] = 0;
    return atol(text);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    int result;
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    result = real(clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += off();
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec time;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    if (now) *now = time.tv_sec;
    return time.tv_sec;
}
"#;

/// The clock of the daemons that it starts.
pub struct WallClock {
    library: PathBuf,
    offset: PathBuf,
}

impl WallClock {
    /// Right at first.
    pub fn new(line: &Line) -> Option<Self> {
        let (source, library, offset) = (line.path("clock.c"), line.path("clock.so"), line.path("clock.offset"));
        std::fs::write(&source, LIBRARY).unwrap();
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o", arg(&library), arg(&source), "-ldl"]).output();
        match compiled {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            Err(_) => return skipped("a C compiler (cc), to set the clock"),
        }
        let clock = Self { library, offset };
        clock.set(0);
        Some(clock)
    }

    /// From now on the clock is ahead by so many seconds.
    pub fn set(&self, seconds: i64) {
        // Nobody reads half of it.
        let written = self.offset.with_extension("new");
        std::fs::write(&written, seconds.to_string()).unwrap();
        std::fs::rename(written, &self.offset).unwrap();
    }

    /// A daemon that has no other clock.
    pub fn start(&self, line: &Line) -> Daemon {
        line.start_with(|command| {
            command.env("LD_PRELOAD", &self.library).env("TEST_CLOCK_OFFSET", &self.offset);
        })
    }
}
