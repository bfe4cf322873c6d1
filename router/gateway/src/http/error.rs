//! The one map from what went wrong to what HTTP says (RFC 9457). No text of a cause crosses it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use d402_core::admission::{NotAccepted, NotAdmitted};
use d402_core::ports::{RailError, StoreError};
use d402_objects::Cid;
use serde_json::{Map, Value, json};

use crate::engine::EngineError;

/// Where problem types are documented.
const TYPE_BASE: &str = "https://d402.xyz/problems/";

/// Everything a request can end with instead of an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("no such resource")]
    NotFound,
    #[error("method not allowed")]
    MethodNotAllowed,
    #[error("malformed {what}")]
    Malformed { what: &'static str },
    #[error("request body does not fit its schema")]
    Body { line: usize, column: usize },
    #[error("request body is too large")]
    TooLarge {
        /// Largest, bytes.
        max: usize,
    },
    #[error("request body must be application/json")]
    MediaType,
    #[error("input does not fit the capability's schema")]
    InputSchema {
        instance_path: String,
        schema_path: String,
    },
    #[error("not admitted")]
    NotAdmitted(Box<NotAdmitted>),
    #[error("challenge is too large")]
    ChallengeTooLarge,
    #[error("unknown task")]
    UnknownTask,
    #[error("unknown payment")]
    UnknownPayment,
    #[error("no access")]
    NoAccess,
    #[error("no result will come")]
    NoResult { task_id: Cid, status: &'static str },
    #[error("no receipt will come")]
    NoReceipt { task_id: Cid, status: &'static str },
    #[error("another payment funds these terms")]
    AlreadyPaid { task_id: Cid, status: &'static str },
    #[error("client id names another task")]
    ClientIdTaken { task_id: Cid },
    #[error("rate limited")]
    RateLimited { retry_after_s: u64 },
    #[error("overloaded")]
    Overloaded,
    #[error("timed out")]
    TimedOut,
    #[error("not a gateway")]
    NotAGateway { gateways: Vec<String> },
    #[error("store")]
    Store(#[source] Box<StoreError>),
    #[error("engine")]
    Engine(#[source] Box<EngineError>),
    #[error("rail")]
    Rail(#[from] RailError),
    #[error("internal")]
    Internal { what: &'static str },
}

impl From<NotAdmitted> for HttpError {
    fn from(refusal: NotAdmitted) -> Self {
        Self::NotAdmitted(Box::new(refusal))
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<EngineError> for HttpError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

/// Status, type, title, detail and typed members of a problem.
struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    members: Map<String, Value>,
    retry_after_s: Option<u64>,
}

fn problem(
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: impl Into<String>,
) -> Problem {
    Problem {
        status,
        kind,
        title,
        detail: detail.into(),
        members: Map::new(),
        retry_after_s: None,
    }
}

impl Problem {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.members;
        body.insert(
            "type".to_owned(),
            Value::String(format!("{TYPE_BASE}{}", self.kind)),
        );
        body.insert("title".to_owned(), Value::from(self.title));
        body.insert("status".to_owned(), Value::from(self.status.as_u16()));
        body.insert("detail".to_owned(), Value::String(self.detail));
        let mut response = (self.status, Json(Value::Object(body))).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        if let Self::Store(_) | Self::Internal { .. } = &self {
            tracing::warn!(error = ?self, "request failed");
        }
        self.problem().into_response()
    }
}

impl HttpError {
    fn problem(self) -> Problem {
        use StatusCode as S;
        match self {
            Self::NotFound => problem(S::NOT_FOUND, "not-found", "Not found", "No such path; see /openapi.json."),
            Self::MethodNotAllowed => problem(S::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", "See /openapi.json."),
            Self::Malformed { what } => problem(S::BAD_REQUEST, "malformed", "Malformed request", format!("{what} is malformed.")).with("what", what),
            Self::Body { line, column } => problem(S::BAD_REQUEST, "malformed-body", "Malformed body", "The body is not the JSON described in /openapi.json; unknown fields and duplicate keys are refused.")
                .with("line", line)
                .with("column", column),
            Self::TooLarge { max } => problem(S::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large", "The body is larger than this gateway reads.")
                .with("maxBytes", max),
            Self::MediaType => problem(S::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type", "Send application/json."),
            Self::InputSchema { instance_path, schema_path } => problem(S::UNPROCESSABLE_ENTITY, "input-schema", "Input does not fit", "The input does not fit the capability's inputSchema.")
                .with("instancePath", instance_path)
                .with("schemaPath", schema_path),
            Self::NotAdmitted(refusal) => not_admitted(&refusal),
            Self::ChallengeTooLarge => problem(S::UNPROCESSABLE_ENTITY, "challenge-too-large", "Challenge too large", "The terms do not fit a header; name fewer validators or fewer networks."),
            Self::UnknownTask => problem(S::NOT_FOUND, "unknown-task", "Unknown task", "This gateway has no such task."),
            Self::UnknownPayment => problem(S::NOT_FOUND, "unknown-payment", "Unknown payment", "This gateway has no such payment."),
            Self::NoAccess => problem(S::FORBIDDEN, "no-access", "No access", "Send the access token as Authorization: Bearer, or sign the request with a validator key of the task."),
            Self::NoResult { task_id, status } => problem(S::GONE, "task-rejected", "No result", "The task ended without a result; its money went back.").with("taskId", task_id.to_string()).with("taskStatus", status),
            Self::NoReceipt { task_id, status } => problem(S::GONE, "no-receipt", "No receipt", "The task ended without a signed receipt here.").with("taskId", task_id.to_string()).with("taskStatus", status),
            Self::AlreadyPaid { task_id, status } => problem(S::CONFLICT, "already-paid", "Already paid", "Another payment funds these terms; this one was not submitted.").with("taskId", task_id.to_string()).with("taskStatus", status),
            Self::ClientIdTaken { task_id } => problem(S::CONFLICT, "payment-identifier-conflict", "Identifier taken", "This payment identifier or idempotency key names another request.").with("taskId", task_id.to_string()),
            Self::RateLimited { retry_after_s } => problem(S::TOO_MANY_REQUESTS, "rate-limited", "Too many requests", "Slow down.").retry_after(retry_after_s),
            Self::Overloaded => problem(S::SERVICE_UNAVAILABLE, "overloaded", "Overloaded", "Too many requests are in progress.").retry_after(1),
            Self::TimedOut => problem(S::GATEWAY_TIMEOUT, "timed-out", "Timed out", "The request took too long. If it carried a payment, send the same request again."),
            Self::NotAGateway { gateways } => problem(S::NOT_IMPLEMENTED, "not-a-gateway", "Not a gateway", "This node does not sell tasks; ask one of the gateways it knows.").with("gateways", gateways),
            Self::Store(_) => problem(S::SERVICE_UNAVAILABLE, "unavailable", "Unavailable", "Storage is not available. Send the same request again.").retry_after(1),
            Self::Engine(error) => engine(&error),
            Self::Rail(_) => problem(S::SERVICE_UNAVAILABLE, "settlement-pending", "Chain not available", "The chain's answer is not known yet. Send the same request again; do not pay again.").retry_after(1),
            Self::Internal { what: _ } => problem(S::INTERNAL_SERVER_ERROR, "internal", "Internal error", "Our fault."),
        }
    }
}

fn engine(error: &EngineError) -> Problem {
    use StatusCode as S;
    match error {
        EngineError::UnknownTask => HttpError::UnknownTask.problem(),
        EngineError::Store(_) | EngineError::Busy | EngineError::Stopping => problem(
            S::SERVICE_UNAVAILABLE,
            "unavailable",
            "Unavailable",
            "Send the same request again.",
        )
        .retry_after(1),
        EngineError::Refused(_) | EngineError::Damaged(_) | EngineError::Object(_) => {
            tracing::error!(?error, "request failed");
            problem(
                S::INTERNAL_SERVER_ERROR,
                "internal",
                "Internal error",
                "Our fault.",
            )
        }
    }
}

fn not_admitted(refusal: &NotAdmitted) -> Problem {
    let unprocessable =
        |kind, title, detail: &str| problem(StatusCode::UNPROCESSABLE_ENTITY, kind, title, detail);
    match refusal {
        NotAdmitted::NoCapability => unprocessable("no-capability", "No capability", "Send capabilityId or manifestCid; see /capabilities."),
        NotAdmitted::UnknownCapability => unprocessable("unknown-capability", "Unknown capability", "See /capabilities for what is known here."),
        NotAdmitted::NotAccepted(reason) => not_accepted(reason),
        NotAdmitted::Ambiguous { manifests } => unprocessable("ambiguous-capability", "Ambiguous capability", "Several authors registered this id; send manifestCid.")
            .with("manifestCids", cids(manifests)),
        NotAdmitted::OtherCapability => unprocessable("other-capability", "Other capability", "manifestCid is of another capability than capabilityId."),
        NotAdmitted::NoRail { rails } => unprocessable("no-rail", "No rail fits", "Send refundTo with an address of yours on one of these networks; what is said of each network is why it is not offered.")
            .with("networks", rails.iter().map(|(network, why)| json!({"network": network, "reason": why.to_string()})).collect::<Vec<_>>())
            .with("send", json!({"refundTo": rails.iter().map(|(n, _)| (n.to_string(), Value::from("<your address>"))).collect::<Map<_, _>>()})),
        NotAdmitted::TooFewValidators { got, want } => problem(StatusCode::SERVICE_UNAVAILABLE, "too-few-validators", "Too few validators", "Not enough validators offer to judge this; send validation, or try later.")
            .with("got", *got)
            .with("want", *want)
            .retry_after(5),
        NotAdmitted::UnusableOffer(cid) => unprocessable("unusable-offer", "Unusable offer", "A validator offer of the request is unknown, expired or not allowed here.").with("offerCid", cid.to_string()),
        NotAdmitted::Budget { got, min, max } => unprocessable("budget", "Budget out of bounds", "The budget is outside this gateway's bounds.")
            .with("got", got.to_string())
            .with("min", min.to_string())
            .with("max", max.to_string()),
        NotAdmitted::Deadline { got, max } => unprocessable("deadline", "Deadline out of bounds", "The deadline is further out than this gateway goes.").with("got", *got).with("max", *max),
        NotAdmitted::AsyncRefused => unprocessable("async-refused", "No asynchronous tasks", "Leave sync out or send true."),
        NotAdmitted::Intent(rule) => unprocessable("invalid-task", "Invalid task", "The fields do not make a valid intent.").with("rule", rule.to_string()),
        NotAdmitted::Encoding => unprocessable("invalid-task", "Invalid task", "The fields do not make a valid intent."),
        NotAdmitted::Terms(rule) => unprocessable("no-terms", "No terms", "No settleable terms follow from this request.").with("rule", rule.to_string()),
    }
}

fn not_accepted(reason: &NotAccepted) -> Problem {
    let refused = problem(
        StatusCode::UNPROCESSABLE_ENTITY,
        "not-accepted",
        "Not sold here",
        "The capability is known and this gateway's policy does not sell it; see /health.",
    )
    .with("rule", reason.to_string());
    match reason {
        NotAccepted::Deprecated {
            successor: Some(successor),
        } => refused.with("successor", successor.to_string()),
        NotAccepted::Deprecated { successor: None }
        | NotAccepted::Manifest
        | NotAccepted::Namespace
        | NotAccepted::NamespaceProof
        | NotAccepted::Commission { .. } => refused,
    }
}

fn cids(list: &[Cid]) -> Vec<String> {
    list.iter().map(Cid::to_string).collect()
}
