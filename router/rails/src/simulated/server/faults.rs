//! Misbehaviour on demand: which request it hits, and how often still.
//!
//! Faults are the outside world, not rules: none of them changes what a vault does with the money it got.

use d402_wire::simchain::{Fault, Rpc};
use sqlx::SqliteConnection;

use super::error::ChainError;

/// Order in which armed faults are tried on a request; the first that fits is spent.
const ORDER: [Fault; 6] = [
    Fault::LostRequest,
    Fault::LyingSuccess,
    Fault::LostAnswer,
    Fault::LateDeposit,
    Fault::DoubleDeposit,
    Fault::ShortDeposit,
];

/// Name of a fault in the database.
const fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::LateDeposit => "lateDeposit",
        Fault::LostAnswer => "lostAnswer",
        Fault::LostRequest => "lostRequest",
        Fault::DoubleDeposit => "doubleDeposit",
        Fault::ShortDeposit => "shortDeposit",
        Fault::LyingSuccess => "lyingSuccess",
    }
}

/// Whether a fault can hit a request: deposit faults hit payments, the others everything that moves money.
const fn hits(fault: Fault, rpc: &Rpc) -> bool {
    match rpc {
        Rpc::Pay { .. } => true,
        Rpc::Settle { .. }
        | Rpc::Sweep { .. }
        | Rpc::ClaimCredit { .. }
        | Rpc::LapseCredits { .. }
        | Rpc::Close { .. } => match fault {
            Fault::LostAnswer | Fault::LostRequest | Fault::LyingSuccess => true,
            Fault::LateDeposit | Fault::DoubleDeposit | Fault::ShortDeposit => false,
        },
        Rpc::Clock
        | Rpc::AdvanceClock { .. }
        | Rpc::Mint { .. }
        | Rpc::Balance { .. }
        | Rpc::PublishSet { .. }
        | Rpc::Open { .. }
        | Rpc::PaymentStatus { .. }
        | Rpc::Vault { .. }
        | Rpc::Events { .. }
        | Rpc::SetUnpayable { .. }
        | Rpc::SetFault { .. } => false,
    }
}

/// Arms a fault for the next `times` requests it fits; 0 disarms it.
pub(super) async fn arm(
    conn: &mut SqliteConnection,
    fault: Fault,
    times: u32,
) -> Result<(), ChainError> {
    if times == 0 {
        sqlx::query("DELETE FROM faults WHERE fault = ?")
            .bind(name(fault))
            .execute(conn)
            .await?;
    } else {
        sqlx::query("INSERT INTO faults (fault, remaining) VALUES (?1, ?2) ON CONFLICT (fault) DO UPDATE SET remaining = ?2")
            .bind(name(fault))
            .bind(i64::from(times))
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// The fault that hits this request, if one is armed. It is spent even when the request is then refused:
/// what goes wrong on the way does not know the rules.
pub(super) async fn take(
    conn: &mut SqliteConnection,
    rpc: &Rpc,
) -> Result<Option<Fault>, ChainError> {
    let armed: Vec<(String, i64)> = sqlx::query_as("SELECT fault, remaining FROM faults")
        .fetch_all(&mut *conn)
        .await?;
    if armed.is_empty() {
        return Ok(None);
    }
    let fits =
        |fault: &Fault| hits(*fault, rpc) && armed.iter().any(|(text, _)| text == name(*fault));
    let Some(fault) = ORDER.into_iter().find(fits) else {
        return Ok(None);
    };
    let last = armed
        .iter()
        .any(|(text, remaining)| text == name(fault) && *remaining <= 1);
    let statement = if last {
        sqlx::query("DELETE FROM faults WHERE fault = ?")
    } else {
        sqlx::query("UPDATE faults SET remaining = remaining - 1 WHERE fault = ?")
    };
    statement.bind(name(fault)).execute(conn).await?;
    Ok(Some(fault))
}
