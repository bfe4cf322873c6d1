// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scene} from "../support/Scene.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {SettlementReceipt, Signature, Terms} from "../../src/Types.sol";

/// Payees who cannot be paid: credits, their claims and their end.
contract CreditsTest is Scene {
    uint64 internal constant LAPSE = REFUND_AFTER + 180 days;

    Terms internal terms;
    bytes32 internal hash;
    address internal escrow;

    function setUp() public override {
        super.setUp();
        terms = _terms();
        hash = ledger.hashTerms(terms);
        escrow = _fund(terms, BUDGET);
    }

    function _settleWithBlocked(address payee) internal {
        usdc.setBlocked(payee, true);
        _settleThree(terms);
    }

    function test_M6a_an_unpayable_payee_costs_the_others_nothing() public {
        _settleWithBlocked(workers[1]);
        assertEq(usdc.balanceOf(workers[0]), 950_000);
        assertEq(usdc.balanceOf(workers[2]), 950_000);
        assertEq(usdc.balanceOf(creator), 150_000);
        assertEq(usdc.balanceOf(gateway), 60_000);
        assertEq(usdc.balanceOf(buyer), BUDGET - 3_060_000);
        assertEq(ledger.creditOf(hash, workers[1]), 950_000);
        assertEq(ledger.creditsOf(hash), 950_000);
        assertEq(usdc.balanceOf(escrow), 950_000);
    }

    function test_credits_are_in_the_events() public {
        usdc.setBlocked(workers[1], true);
        usdc.setBlocked(gateway, true);
        vm.expectEmit();
        emit ITaskEscrow.Credited(hash, workers[1], 950_000);
        vm.expectEmit();
        emit ITaskEscrow.Credited(hash, gateway, 60_000);
        _settleThree(terms);
    }

    function test_a_payee_with_two_payouts_has_one_credit_of_both() public {
        terms.commissionPayee = workers[0];
        hash = ledger.hashTerms(terms);
        _fund(terms, BUDGET);
        _settleWithBlocked(workers[0]);
        assertEq(ledger.creditOf(hash, workers[0]), 950_000 + 150_000);
        assertEq(ledger.creditsOf(hash), 950_000 + 150_000);
    }

    function test_a_refundTo_who_cannot_be_paid_gets_no_credit_but_the_residual_stays() public {
        _settleWithBlocked(buyer);
        assertEq(ledger.creditsOf(hash), 0);
        assertEq(usdc.balanceOf(escrow), BUDGET - 3_060_000);
        usdc.setBlocked(buyer, false);
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(buyer), BUDGET - 3_060_000);
    }

    function test_everybody_blocked_settles_into_credits_and_residual() public {
        usdc.setPaused(true);
        _settleThree(terms);
        assertEq(ledger.creditsOf(hash), 3_060_000);
        assertEq(usdc.balanceOf(escrow), BUDGET);
        usdc.setPaused(false);
        vm.warp(REFUND_AFTER + 1);
        ledger.sweep(terms, address(usdc));
        ledger.claimCredit(terms, workers[0]);
        ledger.claimCredit(terms, workers[1]);
        ledger.claimCredit(terms, workers[2]);
        ledger.claimCredit(terms, creator);
        ledger.claimCredit(terms, gateway);
        assertEq(usdc.balanceOf(escrow), 0, "a pause across refundAfter robs nobody");
        assertEq(usdc.balanceOf(buyer), BUDGET - 3_060_000);
    }

    /// M1b: what is behind credits is never swept.
    function test_M1b_a_sweep_leaves_the_credits() public {
        _settleWithBlocked(workers[1]);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NothingToSweep.selector, address(usdc)));
        ledger.sweep(terms, address(usdc));
        _fund(terms, 5);
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(escrow), 950_000);
    }

    function test_claimCredit_pays_once() public {
        _settleWithBlocked(workers[1]);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.Unpayable.selector, workers[1]));
        ledger.claimCredit(terms, workers[1]);
        usdc.setBlocked(workers[1], false);
        vm.expectEmit();
        emit ITaskEscrow.CreditClaimed(hash, workers[1], workers[1], 950_000);
        ledger.claimCredit(terms, workers[1]);
        assertEq(usdc.balanceOf(workers[1]), 950_000);
        assertEq(ledger.creditsOf(hash), 0);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NoCredit.selector, workers[1]));
        ledger.claimCredit(terms, workers[1]);
    }

    function test_claimCreditTo_only_by_the_payee() public {
        _settleWithBlocked(workers[1]);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NoCredit.selector, address(this)));
        ledger.claimCreditTo(terms, creator);
        vm.expectEmit();
        emit ITaskEscrow.CreditClaimed(hash, workers[1], creator, 950_000);
        vm.prank(workers[1]);
        ledger.claimCreditTo(terms, creator);
        assertEq(usdc.balanceOf(creator), 150_000 + 950_000);
    }

    function test_claimCreditTo_BadPayee() public {
        _settleWithBlocked(workers[1]);
        address[4] memory forbidden = [address(0), escrow, address(usdc), address(ledger)];
        for (uint256 i; i < 4; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadPayee.selector, forbidden[i]));
            vm.prank(workers[1]);
            ledger.claimCreditTo(terms, forbidden[i]);
        }
    }

    function test_M4a_at_the_last_second_a_credit_is_claimed_at_the_next_it_lapses() public {
        _settleWithBlocked(workers[1]);
        usdc.setBlocked(workers[1], false);
        uint256 start = vm.snapshotState();
        vm.warp(LAPSE - 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NothingToSweep.selector, address(usdc)));
        ledger.sweep(terms, address(usdc));
        ledger.claimCredit(terms, workers[1]);

        vm.revertToState(start);
        vm.warp(LAPSE);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.TooLate.selector, LAPSE, LAPSE));
        ledger.claimCredit(terms, workers[1]);
        vm.expectEmit();
        emit ITaskEscrow.CreditsLapsed(hash, 950_000);
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(buyer), BUDGET - 3_060_000 + 950_000);
        assertEq(ledger.creditsOf(hash), 0);
    }

    function test_a_sweep_of_another_token_lapses_nothing() public {
        _settleWithBlocked(workers[1]);
        vm.warp(LAPSE);
        vm.deal(escrow, 1);
        ledger.sweep(terms, address(0));
        assertEq(ledger.creditsOf(hash), 950_000);
    }

    /// M6c: no gas a submitter chooses turns a payee who can be paid into a credit.
    function test_M6c_no_gas_limit_makes_a_credit(uint256 gasLimit) public {
        gasLimit = bound(gasLimit, 60_000, 1_500_000);
        SettlementReceipt memory receipt = _paid(_rows(3, 1_000_000));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        try ledger.settle{gas: gasLimit}(terms, receipt, _set(3, 5), signatures) {
            assertEq(ledger.creditsOf(hash), 0);
            assertEq(usdc.balanceOf(escrow), 0, "the residual went too");
        } catch {
            assertEq(usdc.balanceOf(escrow), BUDGET);
        }
    }

    function test_M6c_every_gas_limit_around_the_edge() public {
        SettlementReceipt memory receipt = _paid(_rows(3, 1_000_000));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        uint256 start = vm.snapshotState();
        uint256 paid;
        for (uint256 gasLimit = 300_000; gasLimit < 600_000; gasLimit += 1_000) {
            try ledger.settle{gas: gasLimit}(terms, receipt, _set(3, 5), signatures) {
                assertEq(ledger.creditsOf(hash), 0);
                ++paid;
            } catch {}
            vm.revertToState(start);
        }
        assertGt(paid, 0);
        assertLt(paid, 300);
    }
}
