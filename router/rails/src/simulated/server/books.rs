//! The chain's rows: reading and writing, no rule except that nothing becomes negative.
//!
//! Every movement of units goes through [`Block::transfer`] or [`Block::mint`], which write balance and
//! event together; so the events alone rebuild every balance.

use d402_objects::{Amount, Hex32};
use d402_wire::simchain::{Event, EventBody};
use sqlx::{Row as _, SqliteConnection};

use super::error::{AccountRule, ChainError, Stop};

/// Most events in one answer.
const EVENTS_PER_ANSWER: i64 = 256;
/// Most deposits in one answer.
const DEPOSITS_PER_ANSWER: i64 = 64;

/// When and as what something took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Transaction id.
    pub(super) transaction: Hex32,
    /// Height.
    pub(super) height: i64,
    /// Chain time, unix seconds.
    pub(super) at: i64,
}

/// A stored payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PaidBy {
    /// Payment id.
    pub(super) id: Hex32,
    /// Payer.
    pub(super) payer: Hex32,
    /// Nonce.
    pub(super) nonce: Hex32,
    /// Units that arrived.
    pub(super) units: u64,
}

/// Some units of an asset on the way between two accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Movement {
    /// Payer.
    pub(super) from: Hex32,
    /// Receiver.
    pub(super) to: Hex32,
    /// Asset.
    pub(super) asset: Hex32,
    /// Base units.
    pub(super) units: u64,
}

/// The books inside one database transaction, and the stamp of the request being executed.
pub(super) struct Block<'c> {
    /// The connection, inside a savepoint.
    pub(super) conn: &'c mut SqliteConnection,
    /// Stamp that the request's effects get.
    pub(super) stamp: Stamp,
}

impl Block<'_> {
    /// Balance of an account; 0 when it has none in this asset.
    pub(super) async fn balance(&mut self, account: Hex32, asset: Hex32) -> Result<u64, Stop> {
        Ok(self.holding(account, asset).await?.unwrap_or(0))
    }

    /// Balance of an account, `None` when it never held this asset or the holding was closed.
    pub(super) async fn holding(
        &mut self,
        account: Hex32,
        asset: Hex32,
    ) -> Result<Option<u64>, Stop> {
        let units: Option<i64> =
            sqlx::query_scalar("SELECT units FROM balances WHERE account = ? AND asset = ?")
                .bind(blob(account))
                .bind(blob(asset))
                .fetch_optional(&mut *self.conn)
                .await?;
        units.map(unsigned).transpose()
    }

    /// Makes an empty holding, or removes one that is empty; never touches units.
    pub(super) async fn keep_holding(
        &mut self,
        account: Hex32,
        asset: Hex32,
        keep: bool,
    ) -> Result<(), Stop> {
        let statement = if keep {
            sqlx::query(
                "INSERT INTO balances (account, asset, units) VALUES (?, ?, 0) ON CONFLICT DO NOTHING",
            )
        } else {
            sqlx::query("DELETE FROM balances WHERE account = ? AND asset = ? AND units = 0")
        };
        statement
            .bind(blob(account))
            .bind(blob(asset))
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Moves units and writes the event; nothing for 0 units.
    pub(super) async fn transfer(&mut self, movement: Movement) -> Result<(), Stop> {
        if movement.units == 0 {
            return Ok(());
        }
        let units = i64::try_from(movement.units).map_err(|_| AccountRule::InsufficientFunds)?;
        let taken = sqlx::query("UPDATE balances SET units = units - ?1 WHERE account = ?2 AND asset = ?3 AND units >= ?1")
            .bind(units)
            .bind(blob(movement.from))
            .bind(blob(movement.asset))
            .execute(&mut *self.conn)
            .await?;
        if taken.rows_affected() != 1 {
            return Err(AccountRule::InsufficientFunds.into());
        }
        self.add(movement.to, movement.asset, units).await?;
        self.event(&EventBody::Transferred {
            from: movement.from,
            to: movement.to,
            asset: movement.asset,
            amount: Amount::from(movement.units),
        })
        .await
    }

    /// Creates units and writes the event. The total per asset stays within 2^63 - 1, hence every sum does.
    pub(super) async fn mint(&mut self, to: Hex32, asset: Hex32, units: u64) -> Result<(), Stop> {
        let signed = i64::try_from(units).map_err(|_| AccountRule::OutOfRange)?;
        let minted: Option<i64> = sqlx::query_scalar("SELECT minted FROM supply WHERE asset = ?")
            .bind(blob(asset))
            .fetch_optional(&mut *self.conn)
            .await?;
        let total = minted
            .unwrap_or(0)
            .checked_add(signed)
            .filter(|_| signed > 0)
            .ok_or(AccountRule::OutOfRange)?;
        sqlx::query("INSERT INTO supply (asset, minted) VALUES (?1, ?2) ON CONFLICT (asset) DO UPDATE SET minted = ?2")
            .bind(blob(asset))
            .bind(total)
            .execute(&mut *self.conn)
            .await?;
        self.add(to, asset, signed).await?;
        self.event(&EventBody::Minted {
            to,
            asset,
            amount: Amount::from(units),
        })
        .await
    }

    async fn add(&mut self, account: Hex32, asset: Hex32, units: i64) -> Result<(), Stop> {
        sqlx::query(
            "INSERT INTO balances (account, asset, units) VALUES (?1, ?2, ?3)
             ON CONFLICT (account, asset) DO UPDATE SET units = units + ?3",
        )
        .bind(blob(account))
        .bind(blob(asset))
        .bind(units)
        .execute(&mut *self.conn)
        .await?;
        sqlx::query("INSERT INTO deposits (account, asset, units, at) VALUES (?, ?, ?, ?)")
            .bind(blob(account))
            .bind(blob(asset))
            .bind(units)
            .bind(self.stamp.at)
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Appends an event under the request's stamp.
    pub(super) async fn event(&mut self, body: &EventBody) -> Result<(), Stop> {
        let text = serde_json::to_string(body).map_err(|_| ChainError::Broken {
            what: "an event has no JSON form",
        })?;
        sqlx::query("INSERT INTO events (at, height, transaction_id, body) VALUES (?, ?, ?, ?)")
            .bind(self.stamp.at)
            .bind(self.stamp.height)
            .bind(blob(self.stamp.transaction))
            .bind(text)
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Events from `from` on, oldest first.
    pub(super) async fn events(&mut self, from: u64) -> Result<Vec<Event>, Stop> {
        let Ok(from) = i64::try_from(from) else {
            return Ok(Vec::new());
        };
        let rows = sqlx::query("SELECT seq, at, height, transaction_id, body FROM events WHERE seq >= ? ORDER BY seq LIMIT ?")
            .bind(from)
            .bind(EVENTS_PER_ANSWER)
            .fetch_all(&mut *self.conn)
            .await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let body: String = row.try_get("body")?;
            events.push(Event {
                seq: unsigned(row.try_get("seq")?)?,
                at: row.try_get("at")?,
                height: unsigned(row.try_get("height")?)?,
                transaction: hex32(&row.try_get::<Vec<u8>, _>("transaction_id")?)?,
                body: serde_json::from_str(&body).map_err(|_| ChainError::Broken {
                    what: "a stored event does not parse",
                })?,
            });
        }
        Ok(events)
    }

    /// Stamp of an effect that has happened.
    pub(super) async fn effect(&mut self, effect: &str) -> Result<Option<Stamp>, Stop> {
        let row = sqlx::query("SELECT transaction_id, height, at FROM effects WHERE effect = ?")
            .bind(effect)
            .fetch_optional(&mut *self.conn)
            .await?;
        row.map(|row| stamp_of(&row)).transpose()
    }

    /// Remembers that an effect happened now; a later one of the same name replaces it.
    pub(super) async fn remember(&mut self, effect: &str) -> Result<(), Stop> {
        sqlx::query(
            "INSERT INTO effects (effect, transaction_id, height, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (effect) DO UPDATE SET transaction_id = ?2, height = ?3, at = ?4",
        )
        .bind(effect)
        .bind(blob(self.stamp.transaction))
        .bind(self.stamp.height)
        .bind(self.stamp.at)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// A payment that took effect, and its stamp.
    pub(super) async fn payment(&mut self, id: Hex32) -> Result<Option<(PaidBy, Stamp)>, Stop> {
        let row = sqlx::query("SELECT payer, nonce, units, transaction_id, height, at FROM payments WHERE payment_id = ?")
            .bind(blob(id))
            .fetch_optional(&mut *self.conn)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let paid = PaidBy {
            id,
            payer: hex32(&row.try_get::<Vec<u8>, _>("payer")?)?,
            nonce: hex32(&row.try_get::<Vec<u8>, _>("nonce")?)?,
            units: unsigned(row.try_get("units")?)?,
        };
        Ok(Some((paid, stamp_of(&row)?)))
    }

    /// Whether the payer used this nonce.
    pub(super) async fn nonce_used(&mut self, payer: Hex32, nonce: Hex32) -> Result<bool, Stop> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM payments WHERE payer = ? AND nonce = ?")
                .bind(blob(payer))
                .bind(blob(nonce))
                .fetch_optional(&mut *self.conn)
                .await?;
        Ok(found.is_some())
    }

    /// Stores a payment under the request's stamp.
    pub(super) async fn store_payment(&mut self, paid: PaidBy) -> Result<(), Stop> {
        sqlx::query(
            "INSERT INTO payments (payment_id, payer, nonce, units, transaction_id, height, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(blob(paid.id))
        .bind(blob(paid.payer))
        .bind(blob(paid.nonce))
        .bind(signed(paid.units)?)
        .bind(blob(self.stamp.transaction))
        .bind(self.stamp.height)
        .bind(self.stamp.at)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// The 64 largest deposits at an address, oldest first.
    pub(super) async fn deposits(
        &mut self,
        account: Hex32,
        asset: Hex32,
    ) -> Result<Vec<(i64, Amount)>, Stop> {
        let rows = sqlx::query(
            "SELECT at, units FROM (SELECT seq, at, units FROM deposits WHERE account = ? AND asset = ?
                                    ORDER BY units DESC, seq LIMIT ?) ORDER BY seq",
        )
        .bind(blob(account))
        .bind(blob(asset))
        .bind(DEPOSITS_PER_ANSWER)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.try_get("at")?,
                    Amount::from(unsigned(row.try_get("units")?)?),
                ))
            })
            .collect()
    }

    /// Whether an account can receive.
    pub(super) async fn payable(&mut self, account: Hex32) -> Result<bool, Stop> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM unpayable WHERE account = ?")
            .bind(blob(account))
            .fetch_optional(&mut *self.conn)
            .await?;
        Ok(found.is_none())
    }

    /// Switches whether an account can receive.
    pub(super) async fn set_unpayable(
        &mut self,
        account: Hex32,
        unpayable: bool,
    ) -> Result<(), Stop> {
        let statement = if unpayable {
            sqlx::query("INSERT INTO unpayable (account) VALUES (?) ON CONFLICT DO NOTHING")
        } else {
            sqlx::query("DELETE FROM unpayable WHERE account = ?")
        };
        statement
            .bind(blob(account))
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }
}

pub(super) fn stamp_of(row: &sqlx::sqlite::SqliteRow) -> Result<Stamp, Stop> {
    Ok(Stamp {
        transaction: hex32(&row.try_get::<Vec<u8>, _>("transaction_id")?)?,
        height: row.try_get("height")?,
        at: row.try_get("at")?,
    })
}

pub(super) fn blob(value: Hex32) -> Vec<u8> {
    value.as_bytes().to_vec()
}

pub(super) fn hex32(bytes: &[u8]) -> Result<Hex32, Stop> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| ChainError::Broken {
        what: "a stored hash is not 32 bytes",
    })?;
    Ok(Hex32::from_bytes(bytes))
}

pub(super) fn unsigned(value: i64) -> Result<u64, Stop> {
    u64::try_from(value).map_err(|_| {
        ChainError::Broken {
            what: "a stored number is negative",
        }
        .into()
    })
}

pub(super) fn signed(value: u64) -> Result<i64, Stop> {
    i64::try_from(value).map_err(|_| {
        ChainError::Broken {
            what: "units above the supply limit",
        }
        .into()
    })
}
