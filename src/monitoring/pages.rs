//! The two pages, and the limits on the cost of a connection.

use super::exposition;
use super::problems::{Problem, problems};
use super::shared::Shared;
use crate::platform::http_clients::Call;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// The longest time for the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// The longest time for a connection; a slower reader gets no more. Prometheus gives up after 10 s by default.
const WHOLE: Duration = Duration::from_secs(15);
/// The largest head of a request in bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// The server name; `patchcored check` recognizes a running daemon by it.
pub const SERVER: &str = concat!("patchcored/", env!("CARGO_PKG_VERSION"));

pub fn pages(shared: Arc<Shared>) -> Router {
    Router::new().route("/metrics", get(metrics)).route("/healthz", get(healthz)).with_state(shared)
}

/// Answers one request and closes. Tells the call when the request is there.
pub async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, pages: Router, call: Arc<Call>) {
    let pages = service_fn(move |request: Request<Incoming>| {
        call.asks();
        TowerToHyperService::new(pages.clone()).call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), pages);
    // A client that left, sent nonsense or was too slow gets no answer.
    let _ = tokio::time::timeout(WHOLE, connection).await;
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let (snapshot, disks) = shared.look().await;
    match exposition::text(&shared.counters, &snapshot, &disks) {
        Ok(text) => ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE), (header::SERVER, SERVER)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The answer to "is the line healthy?".
#[derive(serde::Serialize)]
struct Health {
    /// `ok` or `failing`.
    status: &'static str,
    /// The problems.
    problems: Vec<Problem>,
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    let problems = problems(&shared.look().await.0);
    let (code, status) = if problems.is_empty() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "failing") };
    let mut body = serde_json::to_string(&Health { status, problems }).unwrap_or_default();
    body.push('\n');
    (code, [(header::CONTENT_TYPE, "application/json"), (header::SERVER, SERVER)], body).into_response()
}
