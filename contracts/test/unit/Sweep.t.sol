// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scene} from "../support/Scene.sol";
import {WeirdToken} from "../tokens/WeirdToken.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {SettlementReceipt, Signature, Terms, Unsettleable} from "../../src/Types.sol";

/// `sweep` and `sweepTo`: the refund, and everything else that lies at an escrow.
contract SweepTest is Scene {
    Terms internal terms;
    address internal escrow;

    function setUp() public override {
        super.setUp();
        terms = _terms();
        escrow = _fund(terms, BUDGET);
    }

    function test_refund_from_refundAfter_on_by_anybody() public {
        vm.warp(REFUND_AFTER);
        vm.expectEmit();
        emit ITaskEscrow.Swept(ledger.hashTerms(terms), address(usdc), buyer, BUDGET);
        vm.prank(makeAddr("anybody"));
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(buyer), BUDGET);
        assertEq(escrow.code.length, 45);
    }

    function test_TooEarly() public {
        vm.warp(REFUND_AFTER - 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.TooEarly.selector, REFUND_AFTER - 1, REFUND_AFTER));
        ledger.sweep(terms, address(usdc));
    }

    /// M4a: for an unsettled escrow the guards are disjoint and cover time, to the second.
    function test_M4a_at_refundAfter_minus_1_only_settle_at_refundAfter_only_sweep() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        uint256 start = vm.snapshotState();

        vm.warp(REFUND_AFTER - 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.TooEarly.selector, REFUND_AFTER - 1, REFUND_AFTER));
        ledger.sweep(terms, address(usdc));
        ledger.settle(terms, receipt, _set(3, 5), signatures);
        assertEq(usdc.balanceOf(workers[0]), 1);

        vm.revertToState(start);
        vm.warp(REFUND_AFTER);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.TooLate.selector, REFUND_AFTER, REFUND_AFTER));
        ledger.settle(terms, receipt, _set(3, 5), signatures);
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(buyer), BUDGET);
    }

    function test_M5a_late_and_double_deposits_come_back_again_and_again() public {
        _settleThree(terms);
        for (uint256 i = 1; i < 4; ++i) {
            _fund(terms, i);
            ledger.sweep(terms, address(usdc));
        }
        assertEq(usdc.balanceOf(buyer), BUDGET - 3_060_000 + 6);
    }

    function test_NothingToSweep_and_no_code_for_nothing() public {
        terms.salt = "empty";
        vm.warp(REFUND_AFTER);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NothingToSweep.selector, address(usdc)));
        ledger.sweep(terms, address(usdc));
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NothingToSweep.selector, address(0)));
        ledger.sweep(terms, address(0));
        assertEq(ledger.escrowOf(terms).code.length, 0);
    }

    function test_M5c_ether_and_a_wrong_token_and_one_unit_are_swept() public {
        WeirdToken other = new WeirdToken();
        other.mint(escrow, type(uint128).max);
        vm.deal(escrow, 1 ether);
        _settleThree(terms);
        _fund(terms, 1);
        ledger.sweep(terms, address(0));
        ledger.sweep(terms, address(other));
        uint256 before = usdc.balanceOf(buyer);
        ledger.sweep(terms, address(usdc));
        assertEq(buyer.balance, 1 ether);
        assertEq(other.balanceOf(buyer), type(uint128).max, "amounts above 96 bits too");
        assertEq(usdc.balanceOf(buyer), before + 1);
    }

    function test_M5c_money_on_the_wrong_chain_is_swept_at_once() public {
        vm.chainId(8453);
        assertEq(ledger.escrowOf(terms), escrow, "one address on all chains");
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(buyer), BUDGET);
    }

    function test_ether_refused_by_its_receiver_stays_and_can_go_elsewhere() public {
        terms.refundTo = address(new Refuser());
        address place = ledger.escrowOf(terms);
        vm.deal(place, 1 ether);
        vm.warp(REFUND_AFTER);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.Unpayable.selector, terms.refundTo));
        ledger.sweep(terms, address(0));
        vm.prank(terms.refundTo);
        ledger.sweepTo(terms, address(0), creator);
        assertEq(creator.balance, 1 ether);
    }

    function test_Unpayable_leaves_the_money_for_a_retry() public {
        usdc.setBlocked(buyer, true);
        vm.warp(REFUND_AFTER);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.Unpayable.selector, buyer));
        ledger.sweep(terms, address(usdc));
        usdc.setBlocked(buyer, false);
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(buyer), BUDGET);
    }

    function test_threat_22_a_blocked_refundTo_redirects_and_only_itself_may() public {
        usdc.setBlocked(buyer, true);
        vm.warp(REFUND_AFTER);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.WrongSigner.selector, address(this), buyer));
        ledger.sweepTo(terms, address(usdc), creator);
        vm.prank(buyer);
        ledger.sweepTo(terms, address(usdc), creator);
        assertEq(usdc.balanceOf(creator), BUDGET);
    }

    function test_sweepTo_BadPayee() public {
        vm.warp(REFUND_AFTER);
        address[4] memory forbidden = [address(0), escrow, address(usdc), address(ledger)];
        for (uint256 i; i < 4; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadPayee.selector, forbidden[i]));
            vm.prank(buyer);
            ledger.sweepTo(terms, address(usdc), forbidden[i]);
        }
    }

    function test_sweepTo_keeps_the_clock() public {
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.TooEarly.selector, NOW, REFUND_AFTER));
        vm.prank(buyer);
        ledger.sweepTo(terms, address(usdc), creator);
    }

    /// Such terms become settleable later. The sweep that was open before marks them, so they never do.
    function test_terms_of_the_future_are_swept_and_never_settle_afterwards() public {
        terms.issuedAt = NOW + 601;
        terms.settleBy = NOW + 3_600;
        escrow = _fund(terms, BUDGET);
        assertEq(uint8(ledger.settleable(terms)), uint8(Unsettleable.IssuedInTheFuture));
        ledger.sweep(terms, address(usdc));
        vm.warp(NOW + 700);
        _fund(terms, BUDGET);
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.AlreadySettled.selector, ledger.hashTerms(terms)));
        ledger.settle(terms, receipt, _set(3, 5), signatures);
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(buyer), 2 * uint256(BUDGET));
    }

    /// #42: any other way to code at the address would make settlement impossible.
    function test_threat_42_no_wrong_token_or_ether_sweep_before_the_end() public {
        WeirdToken other = new WeirdToken();
        other.mint(escrow, 5);
        vm.deal(escrow, 5);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.TooEarly.selector, NOW, REFUND_AFTER));
        ledger.sweep(terms, address(other));
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.TooEarly.selector, NOW, REFUND_AFTER));
        ledger.sweep(terms, address(0));
        _settleThree(terms);
        assertEq(usdc.balanceOf(workers[0]), 950_000);
    }

    function test_settle_and_a_sweep_of_the_same_task_in_one_transaction() public {
        WeirdToken other = new WeirdToken();
        other.mint(escrow, 5);
        _settleThree(terms);
        ledger.sweep(terms, address(other));
        assertEq(other.balanceOf(buyer), 5);
    }
}

contract Refuser {}
