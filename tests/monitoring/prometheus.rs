//! A real Prometheus asks a real daemon: `make prometheus`. Needs Debian's package `prometheus`.

use super::{Pages, free_port};
use crate::helper::{Line, Part, Product, arg, wait_for, write_image};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ended with the test.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// One that asks this port every second and has the example rules.
    fn start(line: &Line, asked: u16) -> Self {
        let port = free_port();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring/patchcored.rules.yml");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\n\
             scrape_configs: [{{job_name: patchcored, static_configs: [{{targets: ['127.0.0.1:{asked}']}}]}}]\n",
            rules.display()
        );
        std::fs::write(line.path("prometheus.yml"), config).unwrap();
        let log = std::fs::File::create(line.path("prometheus.log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", arg(&line.path("prometheus.yml"))))
            .arg(format!("--storage.tsdb.path={}", arg(&line.path("prometheus"))))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus does not start; on Debian: apt-get install --no-install-recommends prometheus");
        Self { child, port }
    }

    /// What its API answers.
    fn api(&self, path: &str) -> Result<Value, String> {
        // HTTP/1.0, so that the answer comes in one piece.
        let answer = Pages::Port(self.port)
            .request(&format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"))
            .map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(answer.to_string()) }
    }

    /// The one value of a query.
    fn value(&self, query: &str) -> Result<f64, String> {
        let coded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let data = self.api(&format!("/api/v1/query?query={coded}"))?;
        let value = data["result"][0]["value"][1].as_str().ok_or_else(|| data.to_string())?;
        value.parse().map_err(|_| value.to_owned())
    }

    fn wait_value(&self, query: &str, is: impl Fn(f64) -> bool) -> f64 {
        let value = wait_for(query, || match self.value(query) {
            Ok(value) if is(value) => Ok(value),
            other => Err(format!("{other:?}")),
        });
        println!("{query}\n    {value}");
        value
    }
}

#[test]
#[ignore = "make prometheus"]
fn prometheus_asks_the_daemon() {
    /// Of the camera, so that Prometheus sees the counters grow.
    const PACE: std::time::Duration = std::time::Duration::from_millis(100);
    let line = Line::new(&[Product::new("disc"), Product::new("late")]);
    line.fill_ok("disc", 0..6);
    let Pages::Port(port) = Pages::port(&line) else { unreachable!() };
    let daemon = line.start();
    let prometheus = Prometheus::start(&line, port);
    prometheus.wait_value("up{job=\"patchcored\"}", |up| up == 1.0);
    line.wait_for_bank("disc");
    for number in 0..40 {
        let part = if number % 10 == 9 { Part::ng(number) } else { Part::ok(number % 6) };
        write_image(&line.drop("disc").join(format!("{number:03}.png")), part);
        std::thread::sleep(PACE);
    }
    std::fs::write(line.drop("disc").join("list.jpg"), "this is a shopping list, not an image").unwrap();
    write_image(&line.drop("late").join("early.png"), Part::ok(1));
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'done'", "40");
    line.wait_sql("SELECT count(*) FROM inspections WHERE state = 'failed'", "1");

    println!("\nPrometheus, and the history beside it:");
    for (query, sql) in [
        ("patchcored_inspections_total{product=\"disc\",decision=\"ok\"}", "decision = 'ok'"),
        ("patchcored_inspections_total{product=\"disc\",decision=\"ng\"}", "decision = 'ng'"),
        ("sum(patchcored_failures_total)", "state = 'failed'"),
        ("sum(patchcored_arrivals_total)", "TRUE"),
        ("patchcored_pending_images{product=\"late\"}", "state = 'pending'"),
        ("patchcored_inspection_latency_seconds_count{product=\"disc\"}", "state = 'done'"),
    ] {
        let rows: f64 = line.sql(&format!("SELECT count(*) FROM inspections WHERE {sql}")).unwrap().parse().unwrap();
        prometheus.wait_value(query, |value| value == rows);
        println!("    SELECT count(*) FROM inspections WHERE {sql}: {rows}");
    }
    prometheus.wait_value("histogram_quantile(0.99, sum by (le) (patchcored_inspection_latency_seconds_bucket))", |seconds| seconds > 0.0);
    prometheus.wait_value("sum(increase(patchcored_inspections_total[1m]))", |images| images > 0.0);
    prometheus.wait_value("scrape_duration_seconds{job=\"patchcored\"}", |seconds| seconds > 0.0);

    let targets = prometheus.api("/api/v1/targets").unwrap();
    let target = &targets["activeTargets"][0];
    println!("\ntarget {} is {}, last error {}", target["scrapeUrl"], target["health"], target["lastError"]);
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()));
    let rules = wait_for("every rule to be evaluated", || {
        let rules = prometheus.api("/api/v1/rules")?["groups"][0]["rules"].as_array().cloned().unwrap_or_default();
        let well = rules.iter().filter(|rule| rule["health"] == "ok").count();
        if well == 14 { Ok(rules) } else { Err(format!("{well} are well")) }
    });
    for rule in &rules {
        println!("rule {}: health {}, {}", rule["name"], rule["health"], rule["state"]);
        assert_eq!(rule["lastError"].as_str().unwrap_or_default(), "");
    }

    std::fs::remove_dir_all(line.drop("disc")).unwrap();
    println!("\nthe drop folder is removed:");
    prometheus.wait_value("patchcored_problems{code=\"folder_lost\"}", |lost| lost == 1.0);
    prometheus.wait_value("ALERTS{alertname=\"PatchcoredDropFolderLost\"}", |alert| alert == 1.0);
    assert!(daemon.stop().success());
    println!("\nthe daemon is stopped:");
    prometheus.wait_value("up{job=\"patchcored\"}", |up| up == 0.0);
    prometheus.wait_value("ALERTS{alertname=\"PatchcoredDown\"}", |alert| alert == 1.0);
    let log = std::fs::read_to_string(line.path("prometheus.log")).unwrap();
    let complaints: Vec<_> = log.lines().filter(|line| line.contains("level=warn") || line.contains("level=error")).collect();
    println!("\nwhat Prometheus warned of: {complaints:?}");
}
