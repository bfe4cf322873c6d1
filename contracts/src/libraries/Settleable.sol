// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Terms, Unsettleable} from "../Types.sol";

/// @title May these terms ever settle? (settlement spec §3)
/// @dev Total: it never reverts, because `sweep` is let in by its negation and nothing that is refused here may trap
/// money (#6). It does not look at the members of the validator set: `settle` does. That `refundTo` is not the escrow
/// needs no check: the escrow's address is a hash over it.
library Settleable {
    uint256 internal constant VERSION = 1;
    /// The highest commission and the highest fee: 20 %.
    uint256 internal constant MAX_BPS = 2_000;
    /// How far `issuedAt` may lie ahead of the chain's clock, seconds.
    uint256 internal constant CREATION_SLACK = 600;
    /// The shortest time between `settleBy` and `refundAfter`, seconds (#35).
    uint256 internal constant MIN_GRACE = 600;
    /// The longest time from `issuedAt` to `refundAfter` (#63).
    uint256 internal constant MAX_LIFE = 30 days;

    /// @notice The first broken rule, or `None`.
    function check(Terms memory terms) internal view returns (Unsettleable) {
        if (terms.version != VERSION) return Unsettleable.Version;
        if (terms.chainId != block.chainid) return Unsettleable.WrongChain;
        if (terms.onSilence > 1) return Unsettleable.OnSilence;

        if (terms.commissionBps > MAX_BPS) return Unsettleable.CommissionBps;
        if (terms.gatewayFeeBps > MAX_BPS) return Unsettleable.GatewayFeeBps;
        if ((terms.commissionPayee == address(0)) != (terms.commissionBps == 0)) return Unsettleable.CommissionPayee;
        if ((terms.gatewayFeePayee == address(0)) != (terms.gatewayFeeBps == 0)) return Unsettleable.GatewayFeePayee;
        if (terms.budget == 0) return Unsettleable.NoBudget;
        if (terms.validatorFeeCap > terms.budget / 2) return Unsettleable.ValidatorFeeCap;

        if (terms.issuedAt > block.timestamp + CREATION_SLACK) return Unsettleable.IssuedInTheFuture;
        if (terms.issuedAt >= terms.settleBy) return Unsettleable.SettleBy;
        if (_later(terms.settleBy, MIN_GRACE) > terms.refundAfter) return Unsettleable.GraceTooShort;
        if (terms.refundAfter > _later(terms.issuedAt, MAX_LIFE)) return Unsettleable.LivesTooLong;

        if (terms.asset == address(0)) return Unsettleable.NoAsset;
        if (terms.refundTo == address(0)) return Unsettleable.NoRefundTo;
        if (terms.validatorSet == bytes32(0)) return Unsettleable.NoValidatorSet;
        if (terms.refundTo == terms.asset || terms.refundTo == address(this)) return Unsettleable.RefundToForbidden;
        return Unsettleable.None;
    }

    /// Stays at the end of 64-bit time, as the other implementations do.
    function _later(uint64 time, uint256 span) private pure returns (uint256 sum) {
        sum = uint256(time) + span;
        if (sum > type(uint64).max) sum = type(uint64).max;
    }
}
