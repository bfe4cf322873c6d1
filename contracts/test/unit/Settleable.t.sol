// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scene} from "../support/Scene.sol";
import {Terms, Unsettleable} from "../../src/Types.sol";

/// `settleable`: every rule at its exact edge, and that what it refuses can be swept at once.
contract SettleableTest is Scene {
    Terms internal terms;

    function setUp() public override {
        super.setUp();
        terms = _terms();
    }

    function _is(Unsettleable reason) internal {
        assertEq(uint8(ledger.settleable(terms)), uint8(reason));
        if (reason == Unsettleable.None || reason == Unsettleable.NoRefundTo || reason == Unsettleable.NoAsset) return;
        if (reason == Unsettleable.RefundToForbidden) return;
        // M4c: all terms that cannot settle are sweepable at once.
        uint256 start = vm.snapshotState();
        _fund(terms, 1);
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(terms.refundTo), 1);
        vm.revertToState(start);
    }

    function test_None() public {
        _is(Unsettleable.None);
    }

    function test_M4c_Version() public {
        terms.version = 0;
        _is(Unsettleable.Version);
        terms.version = 2;
        _is(Unsettleable.Version);
    }

    function test_M4c_WrongChain() public {
        terms.chainId = 8453;
        _is(Unsettleable.WrongChain);
    }

    function test_M4c_OnSilence() public {
        terms.onSilence = 1;
        _is(Unsettleable.None);
        terms.onSilence = 2;
        _is(Unsettleable.OnSilence);
    }

    function test_M4c_CommissionBps() public {
        terms.commissionBps = 2_000;
        _is(Unsettleable.None);
        terms.commissionBps = 2_001;
        _is(Unsettleable.CommissionBps);
    }

    function test_M4c_GatewayFeeBps() public {
        terms.gatewayFeeBps = 2_000;
        _is(Unsettleable.None);
        terms.gatewayFeeBps = 2_001;
        _is(Unsettleable.GatewayFeeBps);
    }

    function test_M4c_CommissionPayee() public {
        terms.commissionPayee = address(0);
        _is(Unsettleable.CommissionPayee);
        terms.commissionBps = 0;
        _is(Unsettleable.None);
        terms.commissionPayee = creator;
        _is(Unsettleable.CommissionPayee);
    }

    function test_M4c_GatewayFeePayee() public {
        terms.gatewayFeePayee = address(0);
        _is(Unsettleable.GatewayFeePayee);
        terms.gatewayFeeBps = 0;
        _is(Unsettleable.None);
        terms.gatewayFeePayee = gateway;
        _is(Unsettleable.GatewayFeePayee);
    }

    function test_M4c_NoBudget_and_ValidatorFeeCap() public {
        terms.budget = 0;
        _is(Unsettleable.NoBudget);
        terms.budget = 11;
        terms.validatorFeeCap = 5;
        _is(Unsettleable.None);
        terms.validatorFeeCap = 6;
        _is(Unsettleable.ValidatorFeeCap);
    }

    function test_M4c_IssuedInTheFuture() public {
        terms.issuedAt = NOW + 600;
        _is(Unsettleable.None);
        terms.issuedAt = NOW + 601;
        _is(Unsettleable.IssuedInTheFuture);
    }

    function test_M4c_SettleBy() public {
        terms.settleBy = NOW + 1;
        _is(Unsettleable.None);
        terms.settleBy = NOW;
        _is(Unsettleable.SettleBy);
    }

    function test_M4c_GraceTooShort() public {
        terms.refundAfter = SETTLE_BY + 600;
        _is(Unsettleable.None);
        terms.refundAfter = SETTLE_BY + 599;
        _is(Unsettleable.GraceTooShort);
    }

    function test_M4c_LivesTooLong() public {
        terms.refundAfter = NOW + 30 days;
        _is(Unsettleable.None);
        terms.refundAfter = NOW + 30 days + 1;
        _is(Unsettleable.LivesTooLong);
    }

    /// #6: deadlines at the end of time neither overflow nor trap money.
    function test_threat_6_the_end_of_time_saturates() public {
        terms.settleBy = type(uint64).max - 1;
        terms.refundAfter = type(uint64).max;
        _is(Unsettleable.LivesTooLong);
        terms.issuedAt = type(uint64).max;
        _is(Unsettleable.IssuedInTheFuture);
    }

    function test_NoAsset() public {
        terms.asset = address(0);
        _is(Unsettleable.NoAsset);
    }

    function test_NoRefundTo() public {
        terms.refundTo = address(0);
        _is(Unsettleable.NoRefundTo);
    }

    function test_M4c_NoValidatorSet() public {
        terms.validatorSet = 0;
        _is(Unsettleable.NoValidatorSet);
    }

    function test_RefundToForbidden() public {
        terms.refundTo = address(usdc);
        _is(Unsettleable.RefundToForbidden);
        terms.refundTo = address(ledger);
        _is(Unsettleable.RefundToForbidden);
    }

    /// Total: any terms and any clock give an answer.
    function test_fuzz_settleable_never_reverts(Terms calldata any, uint64 now_) public {
        vm.warp(now_);
        ledger.settleable(any);
    }

    /// M4a for any terms and any clock: exactly one of `settle` and `sweep` is let in.
    function test_M4a_fuzz_sweepable_is_the_negation_of_settle(Terms memory any, uint64 now_) public {
        any.asset = address(usdc);
        vm.warp(now_);
        bool settles = ledger.settleable(any) == Unsettleable.None && now_ < any.refundAfter;
        assertEq(ledger.statusOf(any).sweepable, !settles);
    }
}
