//! What a gateway says about itself: discovery document, health, capabilities.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use d402_core::admission::{Catalogue, Listing, Policy};
use d402_objects::{Cid, Namespace, Signed, ValidatorOffer, Value};
use serde::Deserialize;
use serde_json::json;

use super::HttpState;
use super::error::HttpError;
use super::state::Rail;

/// Most capabilities in one answer.
const MAX_LISTED: usize = 1_000;
/// Most capabilities in the discovery document.
const MAX_ADVERTISED: usize = 100;

pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// Liveness and the whole public policy.
pub(super) async fn health(State(state): State<HttpState>) -> Result<Response, HttpError> {
    let config = &state.0.config;
    let view = state.0.directory.view(state.now_ms()).await?;
    let sold = &config.policy;
    let decimals = state.0.rails.first().map_or(6, |rail| rail.asset.decimals);
    let policy = json!({
        "price": price(sold.default_budget.get(), decimals),
        "priceUnits": sold.default_budget,
        "capabilityId": sold.default_capability,
        "mode": sold.default_mode,
        "fanout": if sold.default_mode == d402_objects::Mode::Single { 1 } else { sold.default_fanout },
        "quorum": sold.default_quorum,
        "deadlineMs": sold.default_deadline_ms,
        "maxDeadlineMs": sold.max_deadline_ms,
        "maxAttempts": sold.max_attempts,
        "allowAsync": sold.allow_async,
        "paymentRouter": "vault",
        "priceFloorUnits": sold.price_floor,
        "maxBudgetUnits": sold.max_budget,
        "onSilence": sold.default_on_silence,
        "acceptedManifests": sold.accepted_manifests,
        "trustedNamespaces": sold.trusted_namespaces,
        "namespaceProofRequired": sold.namespace_proof_required,
        "deprecatedRefused": sold.refuse_deprecated,
        "creatorCommission": commission(&state, true),
        "validators": {
            "trusted": sold.trusted_validators,
            "setSize": sold.validator_set_size,
            "threshold": sold.validator_threshold,
            "allowOthers": sold.allow_other_validators,
        },
        "distinctSubnets": sold.distinct_subnets,
        "gatewayFee": {"bps": sold.gateway_fee_bps, "payees": sold.gateway_fee_payees},
    });
    let body = json!({
        "ok": true,
        "nodeId": node_id(&state),
        "roles": config.roles,
        "capabilities": view.catalogue.listings().count(),
        "validatorOffers": view.catalogue.offers().count(),
        "policy": policy,
    });
    Ok(Json(body).into_response())
}

fn commission(state: &HttpState, health: bool) -> Value {
    let mut value = json!({
        "pricingMode": "included",
        "scope": "exact-manifest",
        "maxRateBps": state.0.config.policy.max_commission_bps,
        "payoutRail": state.0.rails.first().map(|rail| rail.offer.rail.as_str()),
    });
    if let (true, Some(members)) = (health, value.as_object_mut()) {
        members.insert(
            "requiresEscrowForDirectProviderPayTo".to_owned(),
            Value::Bool(true),
        );
    }
    value
}

fn node_id(state: &HttpState) -> String {
    format!("gateway:{}", state.engine().gateway())
}

/// Discovery document, version 1.
pub(super) async fn document(State(state): State<HttpState>) -> Result<Response, HttpError> {
    let config = &state.0.config;
    let view = state.0.directory.view(state.now_ms()).await?;
    let base = &config.public_url;
    let sold: Vec<Value> = view
        .catalogue
        .listings()
        .filter(|listing| config.policy.accepts(listing).is_ok())
        .take(MAX_ADVERTISED)
        .map(|listing| advertised(&state, listing))
        .collect();
    let transport = if base.starts_with("https:") {
        "https"
    } else {
        "http"
    };
    let body = json!({
        "d402GatewayVersion": 1,
        "dncGatewayVersion": 1,
        "nodeId": node_id(&state),
        "roles": config.roles,
        "protocol": {
            "transport": transport,
            "taskApi": "d402-http-task-v1",
            "legacyTaskApi": "dnc-http-task-v1",
            "paymentChallenge": "x402-v2",
            "challengeHeader": "PAYMENT-REQUIRED",
        },
        "endpoints": {
            "health": format!("{base}/health"),
            "createTask": format!("{base}/tasks"),
            "task": format!("{base}/tasks/{{taskId}}"),
            "result": format!("{base}/tasks/{{taskId}}/result"),
            "receipt": format!("{base}/tasks/{{taskId}}/receipt"),
            "bundle": format!("{base}/tasks/{{taskId}}/bundle"),
            "capabilities": format!("{base}/capabilities"),
            "signatures": format!("{base}/signatures/{{termsHash}}"),
            "payments": format!("{base}/payments/{{id}}"),
            "openapi": format!("{base}/openapi.json"),
        },
        "capabilities": sold,
        "payment": state.0.rails.first().map(|rail| payment(&state, rail)),
        "payments": state.0.rails.iter().map(|rail| payment(&state, rail)).collect::<Vec<_>>(),
        "trust": {"gatewayKey": state.engine().gateway(), "clusterId": state.0.cluster_id},
    });
    let mut response = Json(body).into_response();
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("max-age=30"),
    );
    Ok(response)
}

fn advertised(state: &HttpState, listing: &Listing) -> Value {
    let policy = &state.0.config.policy;
    let manifest = listing.manifest.payload();
    let budget = policy.budget_for(&manifest.capability_id);
    let decimals = state.0.rails.first().map_or(6, |rail| rail.asset.decimals);
    let single = policy.default_mode == d402_objects::Mode::Single;
    json!({
        "capabilityId": manifest.capability_id,
        "manifestCid": listing.manifest.cid(),
        "price": price(budget.get(), decimals),
        "priceUnits": budget,
        "mode": policy.default_mode,
        "fanout": if single { 1 } else { policy.default_fanout },
        "quorum": if single { Some(1) } else { policy.default_quorum },
    })
}

fn payment(state: &HttpState, rail: &Rail) -> Value {
    let units = state.0.config.policy.default_budget;
    json!({
        "rail": rail.offer.rail,
        "flow": if rail.offer.direct { "authorization" } else { "upfront" },
        "network": rail.offer.network,
        "asset": rail.offer.asset,
        "assetName": rail.asset.name,
        "decimals": rail.asset.decimals,
        "price": price(units.get(), rail.asset.decimals),
        "priceUnits": units,
        "creatorCommission": commission(state, false),
    })
}

/// Base units of a dollar token as a price; digits that are zero are left out, but for cents.
pub(super) fn price(units: u128, decimals: u8) -> String {
    let digits = usize::from(decimals);
    let text = format!("{units:0>width$}", width = digits.saturating_add(1));
    let (whole, fraction) = text.split_at(text.len().saturating_sub(digits));
    let mut fraction = fraction.trim_end_matches('0').to_owned();
    while fraction.len() < 2 {
        fraction.push('0');
    }
    format!("${whole}.{fraction}")
}

/// Filters of `/capabilities`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    tag: Option<String>,
    namespace: Option<String>,
    manifest_cid: Option<String>,
}

/// The filters, parsed.
struct Wanted {
    tag: Option<String>,
    namespace: Option<Namespace>,
    manifest: Option<Cid>,
}

impl Wanted {
    fn of(filter: Filter) -> Result<Self, HttpError> {
        let malformed = |what| HttpError::Malformed { what };
        let manifest = filter.manifest_cid.map(|cid| cid.parse()).transpose();
        let namespace = filter.namespace.map(|name| name.parse()).transpose();
        Ok(Self {
            tag: filter.tag,
            namespace: namespace.map_err(|_| malformed("namespace"))?,
            manifest: manifest.map_err(|_| malformed("manifestCid"))?,
        })
    }

    fn fits(&self, listing: &Listing) -> bool {
        let named = &listing.registration.payload().namespace;
        let tags = &listing.manifest.payload().tags;
        self.manifest
            .is_none_or(|cid| cid == listing.manifest.cid())
            && self.namespace.as_ref().is_none_or(|n| n == named)
            && self
                .tag
                .as_ref()
                .is_none_or(|tag| tags.iter().any(|t| t.as_str() == tag))
    }
}

/// Registered capabilities and whether this gateway sells them.
pub(super) async fn capabilities(
    State(state): State<HttpState>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Response, HttpError> {
    // A query that does not parse gets our problem, not the framework's text.
    let Query(filter) = filter.map_err(|_| HttpError::Malformed { what: "query" })?;
    let wanted = Wanted::of(filter)?;
    let view = state.0.directory.view(state.now_ms()).await?;
    let policy = &state.0.config.policy;
    let fitting = view
        .catalogue
        .listings()
        .filter(|listing| wanted.fits(listing));
    let listed: Vec<Value> = fitting
        .take(MAX_LISTED)
        .map(|listing| listed(listing, policy, &view.catalogue))
        .collect();
    let offers: Vec<Value> = view
        .catalogue
        .offers()
        .take(MAX_LISTED)
        .map(offered)
        .collect();
    let workers: Vec<Value> = view
        .catalogue
        .workers()
        .take(MAX_LISTED)
        .map(Signed::to_value)
        .collect();
    let body = json!({"capabilities": listed, "validatorOffers": offers, "nodeOffers": workers});
    Ok(Json(body).into_response())
}

fn listed(listing: &Listing, policy: &Policy, catalogue: &Catalogue) -> Value {
    let manifest = listing.manifest.payload();
    json!({
        "capabilityId": manifest.capability_id,
        "manifestCid": listing.manifest.cid(),
        "registrationCid": listing.registration.cid(),
        "namespace": listing.registration.payload().namespace,
        "namespaceProven": listing.namespace_proven,
        "author": manifest.author,
        "description": manifest.description,
        "tags": manifest.tags,
        "validationModels": manifest.validation_models,
        "commissionBps": listing.registration.payload().commission.bps,
        "deprecated": listing.deprecation.is_some(),
        "accepted": policy.accepts(listing).is_ok(),
        "priceUnits": policy.budget_for(&manifest.capability_id),
        "validators": catalogue.judges(&manifest.capability_id).count(),
        "manifest": listing.manifest.to_value(),
        "registration": listing.registration.to_value(),
    })
}

fn offered(offer: &Signed<ValidatorOffer>) -> Value {
    let payload = offer.payload();
    json!({
        "offerCid": offer.cid(),
        "validator": payload.validator,
        "families": payload.families,
        "models": payload.models,
        "fees": payload.fees,
        "expiresAtMs": payload.expires_at_ms,
    })
}
