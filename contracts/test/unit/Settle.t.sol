// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scene} from "../support/Scene.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {Row, SettlementReceipt, Signature, Terms, Unsettleable, ValidatorSet} from "../../src/Types.sol";

/// `settle`: what it pays, and every refusal.
contract SettleTest is Scene {
    Terms internal terms;
    ValidatorSet internal set;
    address internal escrow;

    function setUp() public override {
        super.setUp();
        terms = _terms();
        _keep(_set(3, 5));
        escrow = _fund(terms, BUDGET);
    }

    function _keep(ValidatorSet memory source) internal {
        delete set;
        set.m = source.m;
        for (uint256 i; i < source.members.length; ++i) {
            set.members.push(source.members[i]);
        }
    }

    function _refuse(SettlementReceipt memory receipt, bytes memory reason) internal {
        Signature[] memory signatures = _sign(terms, receipt, 3);
        vm.expectRevert(reason);
        ledger.settle(terms, receipt, set, signatures);
        assertEq(usdc.balanceOf(escrow), BUDGET, "nothing moves on a refusal");
        assertEq(escrow.code.length, 0);
    }

    // ---- what is paid

    function test_pays_rows_less_commission_then_creator_gateway_and_refund() public {
        SettlementReceipt memory receipt = _paid(_rows(3, 1_000_003));
        receipt.rows[1].role = 1;
        receipt.rows[1].amount = 900_000;
        ledger.settle(terms, receipt, set, _sign(terms, receipt, 3));
        assertEq(usdc.balanceOf(workers[0]), 1_000_003 - 50_000, "5 % commission, its dust with the worker");
        assertEq(usdc.balanceOf(workers[1]), 900_000, "validators pay no commission");
        assertEq(usdc.balanceOf(workers[2]), 1_000_003 - 50_000);
        assertEq(usdc.balanceOf(creator), 100_000);
        assertEq(usdc.balanceOf(gateway), 40_000, "2 % of the worker total, rounded down");
        assertEq(usdc.balanceOf(buyer), BUDGET - 2_000_006 - 900_000 - 40_000);
        assertEq(usdc.balanceOf(escrow), 0);
        assertEq(escrow.code.length, 45, "the permanent mark");
    }

    function test_the_event_says_everything_that_moved() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1_000_000));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        uint256[] memory payouts = new uint256[](4);
        payouts[0] = uint256(uint160(workers[0])) << 96 | 950_000;
        payouts[1] = uint256(uint160(creator)) << 96 | 50_000;
        payouts[2] = uint256(uint160(gateway)) << 96 | 20_000;
        payouts[3] = uint256(uint160(buyer)) << 96 | (BUDGET - 1_020_000);
        vm.expectEmit();
        emit ITaskEscrow.Settled(ledger.hashTerms(terms), receipt.receiptCid, 1, 0, payouts);
        ledger.settle(terms, receipt, set, signatures);
    }

    function test_a_rejected_receipt_pays_validators_only_and_may_pay_nobody() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 10));
        receipt.outcome = 2;
        receipt.rows[0].role = 1;
        ledger.settle(terms, receipt, set, _sign(terms, receipt, 3));
        assertEq(usdc.balanceOf(workers[0]), 10);
        assertEq(usdc.balanceOf(gateway) + usdc.balanceOf(creator), 0);

        terms.salt = "other";
        _fund(terms, 7);
        receipt = SettlementReceipt("none", 2, new Row[](0));
        ledger.settle(terms, receipt, set, _sign(terms, receipt, 3));
        assertEq(usdc.balanceOf(buyer), BUDGET - 10 + 7);
    }

    function test_sixteen_rows_settle() public {
        workers = _sortedWallets(16);
        SettlementReceipt memory receipt = _paid(_rows(16, 100_000));
        ledger.settle(terms, receipt, set, _sign(terms, receipt, 3));
        for (uint256 i; i < 16; ++i) {
            assertEq(usdc.balanceOf(workers[i]), 95_000);
        }
    }

    function test_more_signatures_than_needed_settle() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        ledger.settle(terms, receipt, set, _sign(terms, receipt, 5));
        assertEq(usdc.balanceOf(workers[0]), 1);
    }

    // ---- refusals, in the order they are checked

    function test_AlreadySettled() public {
        SettlementReceipt memory receipt = _settleThree(terms);
        _fund(terms, BUDGET);
        Signature[] memory signatures = _sign(terms, receipt, 3);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.AlreadySettled.selector, ledger.hashTerms(terms)));
        ledger.settle(terms, receipt, set, signatures);
    }

    function test_a_refused_replay_is_cheap_and_burns_no_batch() public {
        SettlementReceipt memory receipt = _settleThree(terms);
        Signature[] memory signatures = _sign(terms, receipt, 3);
        uint256 before = gasleft();
        try ledger.settle(terms, receipt, set, signatures) {} catch {}
        assertLt(before - gasleft(), 60_000, "a CREATE2 collision would burn all of it");
    }

    function test_NotSettleable() public {
        terms.version = 2;
        escrow = _fund(terms, BUDGET);
        _refuse(_paid(_rows(1, 1)), abi.encodeWithSelector(ITaskEscrow.NotSettleable.selector, Unsettleable.Version));
    }

    function test_MalformedTerms_for_every_narrow_field() public {
        bytes memory data = abi.encodeCall(ledger.hashTerms, (terms));
        uint256 narrow;
        for (uint256 word; word < 17; ++word) {
            bytes memory dirty = bytes.concat(data);
            dirty[4 + 32 * word] |= 0x80;
            (bool ok, bytes memory answer) = address(ledger).staticcall(dirty);
            if (ok) continue;
            assertEq(bytes4(answer), ITaskEscrow.MalformedTerms.selector);
            ++narrow;
        }
        assertEq(narrow, 13, "all but chainId, taskId, validatorSet and salt");
    }

    function test_TooLate() public {
        vm.warp(REFUND_AFTER);
        _refuse(_paid(_rows(1, 1)), abi.encodeWithSelector(ITaskEscrow.TooLate.selector, REFUND_AFTER, REFUND_AFTER));
    }

    function test_BadSetSize() public {
        set.members.pop();
        set.members.pop();
        for (uint256 i; i < 3; ++i) {
            set.members.pop();
        }
        _refuse(_paid(_rows(1, 1)), abi.encodeWithSelector(ITaskEscrow.BadSetSize.selector, 0));
        for (uint160 i = 1; i < 18; ++i) {
            set.members.push();
            set.members[i - 1].key = address(i);
        }
        set.m = 17;
        _refuse(_paid(_rows(1, 1)), abi.encodeWithSelector(ITaskEscrow.BadSetSize.selector, 17));
    }

    function test_BadThreshold() public {
        for (uint8 m; m < 8; ++m) {
            if (m >= 3 && m <= 5) continue;
            set.m = m;
            _refuse(_paid(_rows(1, 1)), abi.encodeWithSelector(ITaskEscrow.BadThreshold.selector, m, 5));
        }
    }

    function test_ValidatorsNotAscending() public {
        address key = set.members[1].key;
        set.members[1].key = set.members[0].key;
        _refuse(_paid(_rows(1, 1)), abi.encodeWithSelector(ITaskEscrow.ValidatorsNotAscending.selector, 1));
        set.members[1].key = key;
        set.members[0].key = address(0);
        _refuse(_paid(_rows(1, 1)), abi.encodeWithSelector(ITaskEscrow.ValidatorsNotAscending.selector, 0));
    }

    function test_a_validator_key_with_dirty_bits_is_refused() public {
        bytes memory data = abi.encodeCall(ledger.hashSet, (set));
        // selector, offset, m, offset, length, then key and kind of each member
        data[4 + 32 * 4] = 0x01;
        (bool ok, bytes memory answer) = address(ledger).staticcall(data);
        assertFalse(ok);
        assertEq(bytes4(answer), ITaskEscrow.ValidatorsNotAscending.selector);
    }

    function test_UnknownKind() public {
        set.members[4].kind = 2;
        _refuse(_paid(_rows(1, 1)), abi.encodeWithSelector(ITaskEscrow.UnknownKind.selector, 4, 2));
    }

    function test_WrongSet() public {
        set.m = 4;
        bytes32 got = ledger.hashSet(set);
        _refuse(_paid(_rows(1, 1)), abi.encodeWithSelector(ITaskEscrow.WrongSet.selector, got, terms.validatorSet));
    }

    /// A member's kind is what the buyer agreed to, as much as its key.
    function test_threat_51_WrongSet_for_the_same_keys_of_another_kind() public {
        set.members[4].kind = 1;
        bytes32 got = ledger.hashSet(set);
        _refuse(_paid(_rows(1, 1)), abi.encodeWithSelector(ITaskEscrow.WrongSet.selector, got, terms.validatorSet));
    }

    function test_TooManyRows() public {
        workers = _sortedWallets(17);
        _refuse(_paid(_rows(17, 1)), abi.encodeWithSelector(ITaskEscrow.TooManyRows.selector, 17));
    }

    function test_RowsNotAscending() public {
        SettlementReceipt memory receipt = _paid(_rows(3, 1));
        receipt.rows[2].payee = receipt.rows[1].payee;
        _refuse(receipt, abi.encodeWithSelector(ITaskEscrow.RowsNotAscending.selector, 2));
    }

    function test_ZeroAmount() public {
        SettlementReceipt memory receipt = _paid(_rows(3, 1));
        receipt.rows[1].amount = 0;
        _refuse(receipt, abi.encodeWithSelector(ITaskEscrow.ZeroAmount.selector, 1));
    }

    function test_BadRole() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        receipt.rows[0].role = 2;
        _refuse(receipt, abi.encodeWithSelector(ITaskEscrow.BadRole.selector, 0, 2));
    }

    function test_BadOutcome() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        receipt.outcome = 0;
        _refuse(receipt, abi.encodeWithSelector(ITaskEscrow.BadOutcome.selector, 0));
        receipt.outcome = 3;
        _refuse(receipt, abi.encodeWithSelector(ITaskEscrow.BadOutcome.selector, 3));
    }

    function test_PaidWithoutWorker() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        receipt.rows[0].role = 1;
        _refuse(receipt, abi.encodeWithSelector(ITaskEscrow.PaidWithoutWorker.selector));
    }

    function test_RejectedWithWorker() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        receipt.outcome = 2;
        _refuse(receipt, abi.encodeWithSelector(ITaskEscrow.RejectedWithWorker.selector));
    }

    function test_M2c_ValidatorsOverCap() public {
        SettlementReceipt memory receipt = _paid(_rows(2, FEE_CAP + 1));
        receipt.rows[1].role = 1;
        _refuse(receipt, abi.encodeWithSelector(ITaskEscrow.ValidatorsOverCap.selector, FEE_CAP + 1, FEE_CAP));
    }

    function test_M2b_OverBudget() public {
        usdc.mint(escrow, BUDGET);
        SettlementReceipt memory receipt = _paid(_rows(1, BUDGET));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        uint256 owed = uint256(BUDGET) + BUDGET / 50;
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.OverBudget.selector, owed, BUDGET));
        ledger.settle(terms, receipt, set, signatures);
    }

    function test_M2b_Underfunded_and_a_retry_after_a_top_up() public {
        terms.salt = "poor";
        escrow = _fund(terms, 1_019_999);
        SettlementReceipt memory receipt = _paid(_rows(1, 1_000_000));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.Underfunded.selector, 1_020_000, 1_019_999));
        ledger.settle(terms, receipt, set, signatures);
        usdc.mint(escrow, 1);
        ledger.settle(terms, receipt, set, signatures);
        assertEq(usdc.balanceOf(workers[0]), 950_000);
    }

    function test_NotEnoughSignatures() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        Signature[] memory signatures = _sign(terms, receipt, 2);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NotEnoughSignatures.selector, 2, 3));
        ledger.settle(terms, receipt, set, signatures);
    }

    function test_UnknownSigner() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        signatures[2].setIndex = 5;
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.UnknownSigner.selector, 5, 5));
        ledger.settle(terms, receipt, set, signatures);
    }

    function test_SignersNotAscending_so_nobody_counts_twice() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        signatures[2] = signatures[1];
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.SignersNotAscending.selector, 1));
        ledger.settle(terms, receipt, set, signatures);
    }

    function test_BadSignature_one_wrong_among_enough_good_ones_refuses_all() public {
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        Signature[] memory signatures = _sign(terms, receipt, 4);
        signatures[1].sig[7] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadSignature.selector, 1));
        ledger.settle(terms, receipt, set, signatures);
    }

    function test_BalanceUnknown_for_a_token_without_code() public {
        terms.asset = makeAddr("no code");
        SettlementReceipt memory receipt = _paid(_rows(1, 1));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BalanceUnknown.selector, terms.asset));
        ledger.settle(terms, receipt, set, signatures);
    }
}
