// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {TaskEscrow} from "../../src/TaskEscrow.sol";
import {Row, SettlementReceipt, Signature, Terms, Validator, ValidatorSet} from "../../src/Types.sol";

contract PlainToken {
    mapping(address holder => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}

/// A validator that signs or does not, as the solver pleases.
contract Opinion {
    bool public signs;

    function set(bool value) external {
        signs = value;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        return signs ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// Proofs over all inputs, by symbolic execution of the deployed code: `check_` must hold, and each `control_` is the same
/// property with its premise taken away, which must be refuted: a proof that cannot fail proves nothing.
contract EscrowProofs is Test {
    uint64 internal constant NOW = 1_800_000_000;
    uint64 internal constant SETTLE_BY = NOW + 3_600;
    uint64 internal constant REFUND_AFTER = NOW + 7_200;

    TaskEscrow internal ledger;
    PlainToken internal token;
    ValidatorSet internal set;
    Terms internal terms;
    address internal escrow;
    address internal worker = address(0x1001);
    address internal judge = address(0x1002);
    address internal creator = address(0x1003);
    address internal gateway = address(0x1004);
    address internal buyer = address(0x1005);

    function setUp() public {
        vm.warp(NOW);
        ledger = new TaskEscrow();
        token = new PlainToken();
        set.m = 2;
        for (uint256 i; i < 3; ++i) {
            set.members.push(Validator(address(new Opinion()), 1));
        }
        _sort();
        terms.version = 1;
        terms.commissionBps = 500;
        terms.gatewayFeeBps = 200;
        terms.budget = type(uint96).max;
        terms.validatorFeeCap = type(uint96).max / 2;
        terms.issuedAt = NOW;
        terms.settleBy = SETTLE_BY;
        terms.refundAfter = REFUND_AFTER;
        terms.chainId = block.chainid;
        terms.asset = address(token);
        terms.refundTo = buyer;
        terms.validatorSet = ledger.hashSet(set);
        terms.commissionPayee = creator;
        terms.gatewayFeePayee = gateway;
        escrow = ledger.escrowOf(terms);
    }

    function _sort() private {
        for (uint256 i; i < 3; ++i) {
            for (uint256 j = i + 1; j < 3; ++j) {
                if (set.members[j].key < set.members[i].key) {
                    (set.members[i].key, set.members[j].key) = (set.members[j].key, set.members[i].key);
                }
            }
        }
    }

    function _opinions(bool a, bool b, bool c) internal returns (uint256 count) {
        Opinion(set.members[0].key).set(a);
        Opinion(set.members[1].key).set(b);
        Opinion(set.members[2].key).set(c);
        // Added without branching, so that only the opinions somebody asks for split the paths.
        assembly {
            count := add(add(a, b), c)
        }
    }

    function _receipt(uint96 work, uint96 judging) internal view returns (SettlementReceipt memory receipt) {
        receipt.outcome = 1;
        receipt.rows = new Row[](2);
        receipt.rows[0] = Row(worker, 0, work);
        receipt.rows[1] = Row(judge, 1, judging);
    }

    function _signedBy(uint8 first, uint8 second) internal pure returns (Signature[] memory signatures) {
        signatures = new Signature[](2);
        signatures[0].setIndex = _each(first);
        signatures[1].setIndex = _each(second);
    }

    /// One path for every index there is and one that there is not: an index is an offset into calldata.
    function _each(uint8 index) internal pure returns (uint8) {
        if (index == 0) return 0;
        if (index == 1) return 1;
        if (index == 2) return 2;
        return 3;
    }

    // ---- M2a: too few valid signers move nothing before refundAfter

    function check_M2a_too_few_valid_signers_move_nothing(
        bool a,
        bool b,
        bool c,
        uint8 first,
        uint8 second,
        uint64 time
    ) public {
        vm.assume(_opinions(a, b, c) < 2);
        _expectStill(first, second, time);
    }

    function control_M2a_enough_valid_signers_move_money(bool a, bool b, bool c, uint8 first, uint8 second, uint64 time)
        public
    {
        vm.assume(_opinions(a, b, c) < 3);
        _expectStill(first, second, time);
    }

    function _expectStill(uint8 first, uint8 second, uint64 time) private {
        vm.assume(time >= NOW && time < REFUND_AFTER);
        vm.warp(time);
        token.mint(escrow, 1_000);
        (bool done,) = address(ledger)
            .call(abi.encodeCall(ledger.settle, (terms, _receipt(100, 10), set, _signedBy(first, second))));
        done;
        assert(token.balanceOf(escrow) == 1_000);
    }

    /// The other doors before refundAfter: nobody can sweep, claim or redirect, whoever calls.
    function check_M2a_no_other_entry_moves_money_before_refundAfter(
        address caller,
        address to,
        uint64 time,
        uint8 door
    ) public {
        vm.assume(time >= NOW && time < REFUND_AFTER);
        _expectClosed(caller, to, time, door);
    }

    function control_M2a_from_refundAfter_on_a_door_opens(address caller, address to, uint64 time, uint8 door) public {
        vm.assume(time >= NOW && time <= REFUND_AFTER);
        _expectClosed(caller, to, time, door);
    }

    function _expectClosed(address caller, address to, uint64 time, uint8 door) private {
        vm.warp(time);
        token.mint(escrow, 1_000);
        bytes memory data = abi.encodeCall(ledger.sweep, (terms, address(token)));
        if (door == 1) data = abi.encodeCall(ledger.sweepTo, (terms, address(token), to));
        if (door == 2) data = abi.encodeCall(ledger.claimCredit, (terms, to));
        if (door == 3) data = abi.encodeCall(ledger.claimCreditTo, (terms, to));
        vm.prank(caller);
        (bool done,) = address(ledger).call(data);
        done;
        assert(token.balanceOf(escrow) == 1_000);
    }

    // ---- M2e: a receipt executes once

    function check_M2e_nothing_settles_after_a_settlement(uint96 work, uint96 judging, uint64 time) public {
        _again(work, judging, time, 0);
    }

    function control_M2e_another_escrow_settles(uint96 work, uint96 judging, uint64 time) public {
        _again(work, judging, time, bytes32("other"));
    }

    function _again(uint96 work, uint96 judging, uint64 time, bytes32 salt) private {
        vm.assume(time >= NOW);
        _opinions(true, true, true);
        // How often, not how much.
        _withoutRates();
        token.mint(ledger.escrowOf(terms), 1_000);
        ledger.settle(terms, _receipt(100, 10), set, _signedBy(0, 1));
        terms.salt = salt;
        address next = ledger.escrowOf(terms);
        token.mint(next, 1_000);
        vm.warp(time);
        (bool done,) =
            address(ledger).call(abi.encodeCall(ledger.settle, (terms, _receipt(work, judging), set, _signedBy(0, 1))));
        done;
        assert(token.balanceOf(next) == 1_000);
    }

    // ---- M1a: what goes in comes out, for every amount there is; commission and fee are fuzzed (M1d, M3)

    function check_M1a_a_settlement_conserves_money(uint96 work, uint96 judging, uint96 deposit) public {
        address from = _settled(work, judging, deposit);
        assert(token.balanceOf(worker) == work);
        assert(token.balanceOf(judge) == judging);
        assert(token.balanceOf(buyer) == uint256(deposit) - work - judging);
        assert(token.balanceOf(from) == 0);
    }

    function control_M1a_the_worker_gets_it_all(uint96 work, uint96 judging, uint96 deposit) public {
        _settled(work, judging, deposit);
        assert(token.balanceOf(worker) == deposit);
    }

    function _settled(uint96 work, uint96 judging, uint96 deposit) private returns (address from) {
        _opinions(true, true, false);
        _withoutRates();
        from = ledger.escrowOf(terms);
        token.mint(from, deposit);
        (bool done,) =
            address(ledger).call(abi.encodeCall(ledger.settle, (terms, _receipt(work, judging), set, _signedBy(0, 1))));
        vm.assume(done);
    }

    /// No rates, no divisions: what solvers are slow at.
    function _withoutRates() private {
        terms.commissionBps = 0;
        terms.gatewayFeeBps = 0;
        terms.commissionPayee = address(0);
        terms.gatewayFeePayee = address(0);
    }
}
