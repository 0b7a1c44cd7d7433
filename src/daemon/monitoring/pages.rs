//! The two pages, and how a connection is kept from costing more than it may.

use super::Shared;
use super::clients::Call;
use super::exposition;
use super::facts::{Problem, problems};
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

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may take in all: whoever reads more slowly gets no more. Prometheus gives up after 10 s by default.
const WHOLE: Duration = Duration::from_secs(15);
/// Bytes of the head of a request.
const LONGEST_HEAD: usize = 16 << 10;

/// Who answers; `patchcored check` tells a running daemon by it.
pub const SERVER: &str = concat!("patchcored/", env!("CARGO_PKG_VERSION"));

pub fn pages(shared: Arc<Shared>) -> Router {
    Router::new().route("/metrics", get(metrics)).route("/healthz", get(healthz)).with_state(shared)
}

/// Answers one request and closes; tells the call when the request is there.
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
    // A client that went away, asked for nonsense or was too slow is its own loss.
    let _ = tokio::time::timeout(WHOLE, connection).await;
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let sight = shared.look().await;
    match exposition::text(&shared.meters, &sight) {
        Ok(text) => ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE), (header::SERVER, SERVER)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The answer to "is the line well?".
#[derive(serde::Serialize)]
struct Health {
    /// `ok` or `failing`.
    status: &'static str,
    /// What is wrong.
    problems: Vec<Problem>,
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    let problems = problems(&shared.look().await.facts);
    let (code, status) = if problems.is_empty() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "failing") };
    let mut body = serde_json::to_string(&Health { status, problems }).unwrap_or_default();
    body.push('\n');
    (code, [(header::CONTENT_TYPE, "application/json"), (header::SERVER, SERVER)], body).into_response()
}
