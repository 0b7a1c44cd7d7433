//! Nothing is decided on a file that is not whole, and everything that arrived is accounted for.

use super::writers::{MODES, Written, job};
use super::{count, millis, number, reconfigure, rows, spread, wait_while_it_goes_on};
use crate::helper::{Line, Product};
use std::sync::atomic::{AtomicUsize, Ordering};

fn products() -> Vec<Product> {
    let product = |(name, ready): (&'static str, &str)| {
        let mut product = Product::new(name);
        product.drop = format!("        ready: {ready}\n");
        product.extra = "    outputs: {mask: false, overlay: false}\n".to_owned();
        product
    };
    MODES.into_iter().map(product).collect()
}

/// `n` files by `writers` at a time, and the history after all of them have been dealt with.
fn run(n: usize, writers: usize) {
    let line = Line::new(&products());
    reconfigure(&line, "give_up_after: 3s", "give_up_after: 10s");
    for (name, _) in MODES {
        line.fill_ok(name, 0..6);
    }
    let daemon = line.start();
    line.wait_sql("SELECT count(*) FROM banks WHERE state = 'active'", "4");

    let next = AtomicUsize::new(0);
    let written: Vec<Written> = std::thread::scope(|scope| {
        let write = || {
            let number = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|i| *i < n);
            std::iter::from_fn(number).map(|i| job(i, |name| line.drop(name)).write()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    wait_while_it_goes_on(&line, "SELECT count(DISTINCT image_path) FROM inspections WHERE state <> 'pending'", &n.to_string());
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'pending'", "0");
    assert!(daemon.stop().success());
    judge(&line, &written);
}

fn judge(line: &Line, written: &[Written]) {
    let rows = rows(line);
    let mut wrong = Vec::new();
    let (mut cut, mut cut_failed) = (0, 0);
    let mut waits = vec![Vec::new(); MODES.len()];
    for Written { job, complete_at } in written {
        let of_file = rows.get(job.path.to_str().unwrap()).map_or(&[][..], Vec::as_slice);
        let Some(last) = of_file.last() else {
            wrong.push(format!("{job} has no row"));
            continue;
        };
        let hash = job.hash();
        if of_file.len() > 1 {
            wrong.push(format!("{job} has {} rows", of_file.len()));
        }
        if of_file.iter().any(|row| row.state == "done" && (job.is_cut() || row.hash.as_ref() != Some(&hash))) {
            wrong.push(format!("{job} was decided on an incomplete file"));
        }
        if job.is_cut() {
            cut += 1;
            cut_failed += usize::from(last.state == "failed");
        } else if last.state == "done" {
            waits[job.mode].push(millis(*complete_at, last.decided_at.unwrap()));
        } else {
            wrong.push(format!("{job} is {}: {:?}", last.state, last.reason));
        }
    }
    let of = |state: &str| count(line, &format!("state = '{state}'"));
    let (arrived, done, failed, pending) = (count(line, "TRUE"), of("done"), of("failed"), of("pending"));
    println!(
        "{} files: {arrived} rows = {done} done + {failed} failed + {pending} pending; {cut_failed} of {cut} cut ones failed",
        written.len()
    );
    for ((name, ready), waits) in MODES.iter().zip(waits) {
        println!("from complete to decided, {name} (ready: {ready}): {}", spread(waits));
    }
    assert_eq!(arrived, done + failed + pending);
    assert_eq!(rows.len(), written.len(), "a row of a file that nobody wrote");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn slow_cut_and_holed_files_are_decided_whole_or_failed() {
    run(144, 48);
}

#[test]
#[ignore = "make slow-writers"]
fn ten_thousand_slow_writers() {
    run(number("N", 10_000), number("WRITERS", 32));
}
