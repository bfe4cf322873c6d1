//! `GET /metrics`: counters of this process, Prometheus text.

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::HttpState;
use super::error::HttpError;
use super::limits::class;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: String,
    /// The route's pattern, never the path: labels are bounded.
    route: String,
    status: &'static str,
}

/// Counters of the boundary.
pub(crate) struct Metrics {
    registry: Registry,
    responses: Family<Answered, Counter>,
    challenges: Counter,
    tasks: Counter,
    open_tasks: Gauge,
    in_memory: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("d402");
        let responses = Family::<Answered, Counter>::default();
        let (challenges, tasks) = (Counter::default(), Counter::default());
        let (open_tasks, in_memory) = (Gauge::default(), Gauge::default());
        registry.register(
            "http_responses",
            "Responses by route and status class",
            responses.clone(),
        );
        registry.register("challenges", "Challenges handed out", challenges.clone());
        registry.register("tasks_created", "Paid tasks taken", tasks.clone());
        registry.register(
            "tasks_open",
            "Tasks not final in the store",
            open_tasks.clone(),
        );
        registry.register(
            "tasks_in_memory",
            "Tasks in this process",
            in_memory.clone(),
        );
        Self {
            registry,
            responses,
            challenges,
            tasks,
            open_tasks,
            in_memory,
        }
    }

    pub(crate) fn responded(&self, method: &Method, route: &str, status: StatusCode) {
        let method = if known(method) {
            method.as_str()
        } else {
            "other"
        };
        let labels = Answered {
            method: method.to_owned(),
            route: route.to_owned(),
            status: class(status),
        };
        self.responses.get_or_create(&labels).inc();
    }

    pub(crate) fn challenged(&self) {
        self.challenges.inc();
    }

    pub(crate) fn created(&self) {
        self.tasks.inc();
    }
}

fn known(method: &Method) -> bool {
    matches!(
        method.as_str(),
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS"
    )
}

pub(super) async fn text(State(state): State<HttpState>) -> Result<Response, HttpError> {
    let metrics = &state.0.metrics;
    let open = state.engine().ports().store.open_count().await?;
    metrics
        .open_tasks
        .set(i64::try_from(open).unwrap_or(i64::MAX));
    metrics
        .in_memory
        .set(i64::try_from(state.engine().in_memory()).unwrap_or(i64::MAX));
    let mut body = String::new();
    encode(&mut body, &metrics.registry).map_err(|_| HttpError::Internal { what: "metrics" })?;
    let kind = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    Ok((kind, body).into_response())
}
