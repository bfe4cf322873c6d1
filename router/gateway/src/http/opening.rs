//! Vaults that are opened before the 402, for requests that ask for it: the one unpaid request with an effect.
//!
//! A stock client can pay into a vault's token account and cannot make it, so somebody has to make it before the
//! client is told about it. Who asks, how often and for how much is the rail's to refuse (threat #19); a request
//! that is refused is offered the other ways to pay.

use std::net::IpAddr;
use std::sync::Arc;

use d402_core::admission::{Admission, NoPayment, NotAdmitted, RailOffer};
use d402_core::ports::{NotOpened, OpenAsk, Rail};
use d402_objects::{Caip2, Label, PaymentOption};

use super::HttpState;
use super::error::HttpError;
use super::tasks::{Admitted, Asked, admitted};

/// What this request can be offered now, with every vault opened that it needs.
pub(super) async fn admitted_with_vaults(
    state: &HttpState,
    asked: &Asked<'_>,
) -> Result<Admitted, HttpError> {
    if !asked.request.open_vault {
        return admitted(state, asked, &state.0.rail_offers).await;
    }
    let mut offers = state.0.rail_offers.clone();
    for offer in &mut offers {
        let rail = rail_of(state, &offer.rail, &offer.network);
        offer.rent_to = rail.and_then(|rail| rail.opener()?.lender());
    }
    let first = admitted(state, asked, &offers).await?;
    let refused = open_all(state, asked.from, &first.admission, first.now_ms).await;
    if refused.is_empty() {
        return Ok(first);
    }
    let is_refused = |offer: &RailOffer| {
        let mut refused = refused.iter();
        refused.any(|entry| entry.rail == offer.rail && entry.network == offer.network)
    };
    offers.retain(|offer| !is_refused(offer));
    admitted(state, asked, &offers).await.map_err(|error| {
        let HttpError::NotAdmitted(mut refusal) = error else {
            return error;
        };
        if let NotAdmitted::NoRail { rails } = refusal.as_mut() {
            let why = |entry: &PaymentOption| (entry.network.clone(), NoPayment::NotOpened);
            rails.extend(refused.iter().map(why));
        }
        HttpError::NotAdmitted(refusal)
    })
}

/// Opens the vaults of an admission; the entries for which none was opened.
async fn open_all(
    state: &HttpState,
    from: Option<IpAddr>,
    admission: &Admission,
    now_ms: u64,
) -> Vec<PaymentOption> {
    let mut refused = Vec::new();
    for (entry, admitted) in admission.intent.payment.iter().zip(&admission.rails) {
        if entry.rent_to.is_none() {
            continue;
        }
        let Some(rail) = rail_of(state, &entry.rail, &entry.network) else {
            continue;
        };
        let Some(opener) = rail.opener() else {
            continue;
        };
        let ask = OpenAsk {
            refund_to: &entry.refund_to,
            budget: entry.budget,
            from,
            now_ms,
        };
        // The set goes on chain before the first vault that names it.
        rail.learn_set(&admitted.quote.set);
        match opener.open(&ask, &admitted.quote.terms_bytes).await {
            Ok(Ok(())) => continue,
            Ok(Err(why @ (NotOpened::Budget { .. } | NotOpened::NoMoney))) => {
                tracing::debug!(%why, "no vault is opened");
            }
            Ok(Err(why)) => tracing::info!(%why, "no vault is opened"),
            Err(error) => tracing::warn!(%error, "vault is not known to be open"),
        }
        refused.push(entry.clone());
    }
    refused
}

pub(super) fn rail_of<'a>(
    state: &'a HttpState,
    name: &Label,
    network: &Caip2,
) -> Option<&'a Arc<dyn Rail>> {
    let mut rails = state.engine().ports().rails.iter();
    rails.find(|rail| rail.name() == name.as_str() && rail.network() == network.as_str())
}
