// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What the buyer's money is bound to before anybody has earned it (settlement spec §2.3). Fields are raw on
/// purpose: invalid terms must be representable, because money may already lie at their address.
struct Terms {
    /// Layout version; only 1 settles.
    uint8 version;
    /// 0 refund, 1 a bare majority settles from `settleBy` on.
    uint8 onSilence;
    /// Creator's share of every worker row, taken out of it, in ten-thousandths.
    uint16 commissionBps;
    /// Gateway's share of the worker total, on top of it, in ten-thousandths.
    uint16 gatewayFeeBps;
    /// The most that may be paid out, atomic units of `asset`.
    uint96 budget;
    /// The most that validators may earn together, atomic units.
    uint96 validatorFeeCap;
    /// When the terms were made; all times are unix seconds of the chain's clock.
    uint64 issuedAt;
    /// From here on silence has consequences (see `onSilence`).
    uint64 settleBy;
    /// First second of the refund; settlement is before it.
    uint64 refundAfter;
    /// The chain these terms can settle on. On any other they can only be swept.
    uint256 chainId;
    /// CID of the task intent.
    bytes32 taskId;
    /// The token.
    address asset;
    /// Who gets everything that is not earned.
    address refundTo;
    /// Hash of the set that may say what was earned.
    bytes32 validatorSet;
    /// The creator's wallet; zero if and only if the commission is zero.
    address commissionPayee;
    /// The gateway's wallet; zero if and only if its fee is zero.
    address gatewayFeePayee;
    /// Makes two equal orders two escrows.
    bytes32 salt;
}

/// @notice One payee and what it earned, before the commission is taken out.
struct Row {
    address payee;
    /// 0 worker, 1 validator.
    uint8 role;
    /// Atomic units, above zero.
    uint96 amount;
}

/// @notice What the validators decided. Commission, fee and refund are not here: the ledger computes them.
struct SettlementReceipt {
    /// CID of the full settlement receipt.
    bytes32 receiptCid;
    /// 1 paid, 2 rejected.
    uint8 outcome;
    /// At most 16, strictly ascending by payee.
    Row[] rows;
}

/// @notice One member of a validator set.
struct Validator {
    address key;
    /// 0 an ECDSA key, 1 a contract asked by ERC-1271.
    uint8 kind;
}

/// @notice Up to 16 validators, strictly ascending by key, of which `m` must sign; `n < 2m <= 2n`.
struct ValidatorSet {
    uint8 m;
    Validator[] members;
}

/// @notice A validator's signature and its place in the set.
struct Signature {
    uint8 setIndex;
    bytes sig;
}

/// @notice The part of an EIP-3009 authorization that is not implied: the receiver is always the escrow.
struct Authorization {
    address from;
    uint256 value;
    uint256 validAfter;
    uint256 validBefore;
    bytes32 nonce;
}

/// @notice Who gets how much, and what is left (settlement spec §2.4). `owed + residual` is the balance.
struct Plan {
    /// Σ worker rows, before the commission.
    uint256 workerTotal;
    /// Σ validator rows.
    uint256 validatorTotal;
    /// Σ commissions.
    uint256 commission;
    /// The gateway's fee.
    uint256 gatewayFee;
    /// What leaves the escrow for work.
    uint256 owed;
    /// What is left for `refundTo`.
    uint256 residual;
    /// Payee in the upper 160 bits, amount in the lower 96: the rows in their order less commission, then the creator,
    /// the gateway and `refundTo`. Zero amounts are left out.
    uint256[] payouts;
}

/// @notice Where the escrow of some terms stands now.
struct Status {
    bytes32 termsHash;
    address escrow;
    /// A receipt was executed, or a sweep made that impossible.
    bool settled;
    Unsettleable reason;
    /// `sweep` would be let in now.
    bool sweepable;
    /// Units of the asset at the escrow.
    uint256 balance;
    /// Units of it that belong to payees who could not be paid.
    uint256 credits;
}

/// @notice Why terms cannot settle. Declaration order is check order: the first broken rule is reported.
enum Unsettleable {
    None,
    Version,
    WrongChain,
    OnSilence,
    CommissionBps,
    GatewayFeeBps,
    CommissionPayee,
    GatewayFeePayee,
    NoBudget,
    ValidatorFeeCap,
    IssuedInTheFuture,
    SettleBy,
    GraceTooShort,
    LivesTooLong,
    NoAsset,
    NoRefundTo,
    NoValidatorSet,
    RefundToForbidden
}
