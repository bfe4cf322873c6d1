// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scene} from "../support/Scene.sol";
import {Wallet1271} from "../support/Wallet1271.sol";
import {Multicall3} from "../tokens/Multicall3.sol";
import {TaskEscrow} from "../../src/TaskEscrow.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {Authorization, Row, SettlementReceipt, Signature, Terms, Unsettleable, ValidatorSet} from "../../src/Types.sol";

/// Attacks of the threat review on the escrow, each named after its number, and the authority invariants of spec §6.
contract ThreatsTest is Scene {
    Terms internal terms;
    SettlementReceipt internal receipt;
    address internal escrow;

    function setUp() public override {
        super.setUp();
        terms = _terms();
        escrow = _fund(terms, BUDGET);
        receipt.receiptCid = "receipt";
        receipt.outcome = 1;
        receipt.rows.push(Row(workers[0], 0, 1_000_000));
    }

    function _settle(Signature[] memory signatures, bytes4 refusal) internal {
        ValidatorSet memory set = _set(3, 5);
        if (refusal != 0) vm.expectPartialRevert(refusal);
        ledger.settle(terms, receipt, set, signatures);
        if (refusal != 0) assertEq(usdc.balanceOf(escrow), BUDGET);
    }

    function _over(bytes32 digest) internal view returns (Signature[] memory signatures) {
        signatures = new Signature[](3);
        for (uint256 i; i < 3; ++i) {
            signatures[i] = Signature(uint8(i), _signature(keys[i], digest));
        }
    }

    /// #1, M2e, M4b: a late deposit is not paid out again by the receipt that was executed, before or after refundAfter.
    function test_threat_1_M2e_M4b_a_receipt_executes_once_for_ever() public {
        Signature[] memory signatures = _sign(terms, receipt, 3);
        _settle(signatures, 0);
        for (uint256 i; i < 3; ++i) {
            _fund(terms, BUDGET);
            vm.expectPartialRevert(ITaskEscrow.AlreadySettled.selector);
            ledger.settle(terms, receipt, _set(3, 5), signatures);
            ledger.sweep(terms, address(usdc));
            vm.warp(block.timestamp + 3_600);
        }
        assertEq(usdc.balanceOf(workers[0]), 950_000);
    }

    /// M2a: no subset smaller than needed moves a unit, whoever is in it.
    function test_M2a_every_subset_of_five_is_judged_by_its_size() public {
        uint256 start = vm.snapshotState();
        for (uint256 mask; mask < 32; ++mask) {
            uint256 count;
            uint256[] memory members = new uint256[](5);
            for (uint256 i; i < 5; ++i) {
                if (mask >> i & 1 == 1) members[count++] = i;
            }
            assembly {
                mstore(members, count)
            }
            Signature[] memory signatures = _signAs(terms, receipt, members);
            _settle(signatures, count < 3 ? ITaskEscrow.NotEnoughSignatures.selector : bytes4(0));
            vm.revertToState(start);
        }
    }

    /// M8b and spec §4: the needed number falls to a bare majority at settleBy exactly, only when the terms say so.
    function test_M8b_majority_on_silence_from_settleBy_on() public {
        ValidatorSet memory set = _set(4, 5);
        terms = _terms(set);
        terms.onSilence = 1;
        escrow = _fund(terms, BUDGET);
        Signature[] memory three = _sign(terms, receipt, 3);
        Signature[] memory two = _sign(terms, receipt, 2);
        vm.warp(SETTLE_BY - 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NotEnoughSignatures.selector, 3, 4));
        ledger.settle(terms, receipt, set, three);
        vm.warp(SETTLE_BY);
        assertEq(ledger.neededSignatures(terms, set), 3);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NotEnoughSignatures.selector, 2, 3));
        ledger.settle(terms, receipt, set, two);
        ledger.settle(terms, receipt, set, three);
        assertEq(usdc.balanceOf(workers[0]), 950_000);
    }

    function test_M8b_refund_on_silence_keeps_m() public {
        vm.warp(REFUND_AFTER - 1);
        for (uint256 n = 1; n <= 5; ++n) {
            for (uint256 m = n / 2 + 1; m <= n; ++m) {
                ValidatorSet memory set = _set(m, n);
                assertEq(ledger.neededSignatures(terms, set), m);
                terms.onSilence = 1;
                assertGt(2 * ledger.neededSignatures(terms, set), n);
                terms.onSilence = 0;
            }
        }
    }

    /// A transaction sent before settleBy with m signatures must not fail for having more than it needs after.
    function test_M8_a_settlement_that_crosses_settleBy_executes() public {
        ValidatorSet memory set = _set(5, 5);
        terms = _terms(set);
        terms.onSilence = 1;
        _fund(terms, BUDGET);
        vm.warp(SETTLE_BY);
        ledger.settle(terms, receipt, set, _sign(terms, receipt, 5));
        assertEq(usdc.balanceOf(workers[0]), 950_000);
    }

    /// #7: two disjoint quorums.
    function test_threat_7_a_threshold_of_half_is_no_set() public {
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadThreshold.selector, 2, 4));
        ledger.hashSet(_set(2, 4));
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadThreshold.selector, 0, 1));
        ledger.hashSet(_set(0, 1));
    }

    // ---- M7a: what was signed for anything else

    function test_M7a_signatures_for_another_chain_contract_task_receipt_or_outcome_are_refused() public {
        bytes32 hash = ledger.hashTerms(terms);
        vm.chainId(8453);
        bytes32 digest = ledger.settlementDigest(hash, receipt);
        vm.chainId(84532);
        _settle(_over(digest), ITaskEscrow.BadSignature.selector);
        _settle(_over(new TaskEscrow().settlementDigest(hash, receipt)), ITaskEscrow.BadSignature.selector);
        _settle(_over(ledger.settlementDigest(keccak256("task"), receipt)), ITaskEscrow.BadSignature.selector);
        SettlementReceipt memory other = receipt;
        other.receiptCid = "other";
        _settle(_over(ledger.settlementDigest(hash, other)), ITaskEscrow.BadSignature.selector);
        other = receipt;
        other.outcome = 2;
        _settle(_over(ledger.settlementDigest(hash, other)), ITaskEscrow.BadSignature.selector);
        other = receipt;
        other.rows[0].role = 1;
        _settle(_over(ledger.settlementDigest(hash, other)), ITaskEscrow.BadSignature.selector);
        other = receipt;
        other.rows[0].amount += 1;
        _settle(_over(ledger.settlementDigest(hash, other)), ITaskEscrow.BadSignature.selector);
        _settle(_over(hash), ITaskEscrow.BadSignature.selector);
    }

    /// One decision, two chains: the other family signs a SHA-256 digest with Ed25519. Fed to this verifier, its digest is
    /// 32 bytes nobody asked about, and its signatures are none. The other way round: `programs/svm-tests`.
    function test_M7a_the_digest_and_signatures_of_the_same_decision_on_solana_are_refused_here() public {
        bytes32 tag = bytes32("d402/settle/solana/v1");
        bytes memory head =
            abi.encodePacked(tag, bytes32("program"), ledger.hashTerms(terms), receipt.receiptCid, uint8(1), uint8(1));
        // Little endian: 1,000,000 base units.
        bytes memory row = abi.encodePacked(bytes32(uint256(uint160(workers[0]))), uint8(0), hex"40420f0000000000");
        _settle(_over(sha256(bytes.concat(head, row))), ITaskEscrow.BadSignature.selector);
        Signature[] memory signatures = _sign(terms, receipt, 3);
        bytes memory ed25519 =
            hex"e10a486271df28d676059d90f6cce9d11e91ec730b24a2b7aa3d640f82ffa5e66cd5d27c153756e0df704754939753eb1c0198ed6ba0c7e61e3e13542157e401";
        bytes[3] memory foreign =
            [ed25519, bytes.concat(ed25519, bytes1(uint8(27))), bytes.concat(ed25519, bytes1(uint8(28)))];
        for (uint256 i; i < 3; ++i) {
            signatures[2].sig = foreign[i];
            _settle(signatures, ITaskEscrow.BadSignature.selector);
        }
    }

    /// M7c: one form of a signature.
    function test_M7c_only_65_bytes_low_s_and_v_27_or_28() public {
        Signature[] memory good = _sign(terms, receipt, 3);
        bytes32 digest = ledger.settlementDigest(ledger.hashTerms(terms), receipt);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[1], digest);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes[6] memory bad = [
            abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27)),
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(r, uint256(s) | uint256(v - 27) << 255),
            abi.encodePacked(r, s, v, uint8(0)),
            abi.encodePacked(r, s),
            bytes("")
        ];
        for (uint256 i; i < 6; ++i) {
            good[1].sig = bad[i];
            _settle(good, ITaskEscrow.BadSignature.selector);
        }
        good[1].sig = abi.encodePacked(r, s, v);
        _settle(good, 0);
    }

    // ---- #51: contract validators

    function _withWallet(address wallet, uint8 kind) internal returns (ValidatorSet memory set) {
        set = _set(1, 1);
        set.members[0].key = wallet;
        set.members[0].kind = kind;
        terms = _terms(set);
        escrow = _fund(terms, BUDGET);
    }

    function test_threat_51_kind_1_asks_the_contract_and_kind_0_never_does() public {
        Wallet1271 wallet = new Wallet1271(vm.addr(keys[0]));
        ValidatorSet memory set = _withWallet(address(wallet), 0);
        Signature[] memory signatures = _sign(terms, receipt, 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadSignature.selector, 0));
        ledger.settle(terms, receipt, set, signatures);

        set = _withWallet(address(wallet), 1);
        signatures = _sign(terms, receipt, 1);
        ledger.settle(terms, receipt, set, signatures);
        assertEq(usdc.balanceOf(workers[0]), 950_000);
    }

    function test_threat_51_a_delegated_account_stays_an_ECDSA_signer() public {
        address key = vm.addr(keys[0]);
        ValidatorSet memory set = _withWallet(key, 0);
        // EIP-7702: code at an account that has a key, and code that approves nothing.
        vm.etch(key, abi.encodePacked(hex"ef0100", address(new Refuses())));
        ledger.settle(terms, receipt, set, _sign(terms, receipt, 1));
        assertEq(usdc.balanceOf(workers[0]), 950_000);
    }

    function test_threat_51_bad_contract_answers_are_no_signature_and_cost_one_cap() public {
        for (uint256 i; i < 5; ++i) {
            ValidatorSet memory set = _withWallet(address(new BadWallet(i)), 1);
            Signature[] memory signatures = _sign(terms, receipt, 1);
            uint256 before = gasleft();
            vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadSignature.selector, 0));
            ledger.settle(terms, receipt, set, signatures);
            assertLt(before - gasleft(), 400_000);
        }
    }

    function test_threat_51_a_contract_validator_without_code_approves_nothing() public {
        ValidatorSet memory set = _withWallet(makeAddr("no code"), 1);
        Signature[] memory signatures = _sign(terms, receipt, 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadSignature.selector, 0));
        ledger.settle(terms, receipt, set, signatures);
    }

    // ---- #58

    function test_threat_58_M2d_nobody_is_paid_who_could_never_spend_it() public {
        address[4] memory forbidden = [address(0), escrow, address(usdc), address(ledger)];
        for (uint256 i; i < 4; ++i) {
            receipt.rows[0].payee = forbidden[i];
            Signature[] memory signatures = _sign(terms, receipt, 3);
            vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadPayee.selector, forbidden[i]));
            ledger.settle(terms, receipt, _set(3, 5), signatures);
        }
    }

    function test_threat_58_M2d_creator_and_gateway_are_payees_too() public {
        terms.commissionPayee = address(usdc);
        _fund(terms, BUDGET);
        Signature[] memory signatures = _sign(terms, receipt, 3);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadPayee.selector, address(usdc)));
        ledger.settle(terms, receipt, _set(3, 5), signatures);
        terms.commissionPayee = creator;
        terms.gatewayFeePayee = address(ledger);
        _fund(terms, BUDGET);
        signatures = _sign(terms, receipt, 3);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BadPayee.selector, address(ledger)));
        ledger.settle(terms, receipt, _set(3, 5), signatures);
    }

    // ---- #57

    /// One bad item of a batch, or one that somebody settled first, never stops the others.
    function test_threat_57_a_bad_item_stops_no_batch() public {
        Multicall3 multicall = new Multicall3();
        Multicall3.Call3[] memory calls = new Multicall3.Call3[](3);
        for (uint256 i; i < 3; ++i) {
            terms.salt = bytes32(i);
            _fund(terms, BUDGET);
            Signature[] memory signatures = _sign(terms, receipt, i == 1 ? 2 : 3);
            bytes memory call = abi.encodeCall(ledger.settle, (terms, receipt, _set(3, 5), signatures));
            calls[i] = Multicall3.Call3(address(ledger), true, call);
        }
        (bool first,) = address(ledger).call(calls[0].callData);
        assertTrue(first);
        Multicall3.Result[] memory results = multicall.aggregate3{gas: 1_500_000}(calls);
        assertEq(bytes4(results[0].returnData), ITaskEscrow.AlreadySettled.selector);
        assertEq(bytes4(results[1].returnData), ITaskEscrow.NotEnoughSignatures.selector);
        assertTrue(results[2].success);
    }

    /// #72: money and ether before any code; neither changes where the code goes nor stops it.
    function test_threat_72_a_pre_funded_address_settles() public {
        vm.deal(escrow, 1);
        _settle(_sign(terms, receipt, 3), 0);
        ledger.sweep(terms, address(0));
        assertEq(buyer.balance, 1);
    }

    /// #71: an authorization that can no longer settle leaves no trace a later one would trip over.
    function test_threat_71_an_expired_authorization_never_pays() public {
        vm.warp(NOW + 1_000);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[0], keccak256("x"));
        vm.expectPartialRevert(ITaskEscrow.PaymentRefused.selector);
        ledger.pay(terms, _expired(), v, r, s);
        assertFalse(usdc.authorizationState(vm.addr(keys[0]), "n"));
    }

    function _expired() internal view returns (Authorization memory) {
        return Authorization(vm.addr(keys[0]), 1, 0, NOW + 999, "n");
    }

    // ---- M3

    /// M3: commission and fee follow from terms and rows alone.
    function test_M3_fuzz_commission_and_fee_ignore_everything_else(uint96 deposit, bytes32 cid, uint32 later) public {
        deposit = uint96(bound(deposit, 1_020_000, type(uint96).max));
        terms.salt = cid;
        receipt.receiptCid = cid;
        _fund(terms, deposit);
        vm.warp(bound(later, NOW, REFUND_AFTER - 1));
        ledger.settle(terms, receipt, _set(3, 5), _sign(terms, receipt, 3));
        assertEq(usdc.balanceOf(creator), 50_000);
        assertEq(usdc.balanceOf(gateway), 20_000);
    }

    /// M1d: splitting a row never lowers the commission by more than one unit per extra row.
    function test_M1d_fuzz_splitting_a_row_keeps_the_commission(uint96 amount, uint96 part, uint16 bps) public {
        terms.commissionBps = uint16(bound(bps, 1, 2_000));
        terms.gatewayFeeBps = 0;
        terms.gatewayFeePayee = address(0);
        terms.budget = type(uint96).max;
        amount = uint96(bound(amount, 2, type(uint96).max / 4));
        part = uint96(bound(part, 1, amount - 1));
        _fund(terms, amount);
        receipt.rows[0].amount = amount;
        uint256 whole = ledger.previewSettle(terms, receipt).commission;
        receipt.rows[0].amount = part;
        receipt.rows.push(Row(workers[1], 0, amount - part));
        uint256 split = ledger.previewSettle(terms, receipt).commission;
        assertLe(split, whole);
        assertLe(whole - split, 1);
        assertEq(whole, uint256(amount) * terms.commissionBps / 10_000);
    }

    // ---- M8

    function test_M8_no_receipt_at_all_ends_in_the_refund_by_anybody() public {
        vm.warp(REFUND_AFTER);
        vm.prank(makeAddr("anybody"));
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(buyer), BUDGET);
    }

    function test_M8_a_late_deposit_ends_in_a_rejected_receipt_and_a_refund_at_once() public {
        receipt.outcome = 2;
        receipt.rows.pop();
        _settle(_sign(terms, receipt, 3), 0);
        assertEq(usdc.balanceOf(buyer), BUDGET);
    }

    function test_M8_an_underfunded_escrow_ends_in_the_refund() public {
        terms.salt = "poor";
        _fund(terms, 10);
        Signature[] memory signatures = _sign(terms, receipt, 3);
        vm.expectPartialRevert(ITaskEscrow.Underfunded.selector);
        ledger.settle(terms, receipt, _set(3, 5), signatures);
        vm.warp(REFUND_AFTER);
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(buyer), 10);
    }

    /// #41: the same ledger on the wrong chain gives the same address, and everything back at once.
    function test_threat_41_terms_for_another_chain_never_settle_here() public {
        terms.chainId = 8453;
        assertEq(uint8(ledger.settleable(terms)), uint8(Unsettleable.WrongChain));
        _fund(terms, 5);
        ledger.sweep(terms, address(usdc));
        assertEq(usdc.balanceOf(buyer), 5);
    }
}

contract Refuses {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return 0xffffffff;
    }
}

/// Answers `isValidSignature` in five wrong ways.
contract BadWallet {
    uint256 private immutable WAY;

    constructor(uint256 way) {
        WAY = way;
    }

    fallback() external {
        uint256 way = WAY;
        if (way == 0) revert();
        if (way == 1) while (true) {}
        assembly {
            switch way
            case 2 {
                mstore(0, shl(224, 0x1626ba7e))
                return(0, 0x1f)
            }
            case 3 {
                // The magic value in the wrong place.
                mstore(0, 0x1626ba7e)
                return(0, 0x20)
            }
            default { revert(0, 60000) }
        }
    }
}
