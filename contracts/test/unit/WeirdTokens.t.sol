// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scene} from "../support/Scene.sol";
import {ProxyUSDC, ProxyUSDCLogic} from "../tokens/ProxyUSDC.sol";
import {WeirdToken} from "../tokens/WeirdToken.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {SettlementReceipt, Signature, Terms} from "../../src/Types.sol";

/// Tokens that misbehave, on every path that moves money: settle, sweep, sweepTo, claimCredit, claimCreditTo.
contract WeirdTokensTest is Scene {
    WeirdToken internal token;
    Terms internal terms;
    bytes32 internal hash;
    address internal escrow;

    function setUp() public override {
        super.setUp();
        token = new WeirdToken();
        terms = _terms();
        terms.asset = address(token);
        hash = ledger.hashTerms(terms);
        escrow = ledger.escrowOf(terms);
        token.mint(escrow, BUDGET);
    }

    /// The ways in which a transfer can fail to pay.
    function _failing() internal pure returns (WeirdToken.Mode[6] memory) {
        return [
            WeirdToken.Mode.ReturnsFalse,
            WeirdToken.Mode.ReturnsTwo,
            WeirdToken.Mode.ShortReturn,
            WeirdToken.Mode.Reverts,
            WeirdToken.Mode.Bomb,
            WeirdToken.Mode.BurnsGas
        ];
    }

    function test_a_failing_transfer_to_one_payee_is_a_credit_and_its_claims_retry() public {
        uint256 start = vm.snapshotState();
        for (uint256 i; i < 6; ++i) {
            token.misbehave(_failing()[i], workers[1]);
            _settleThree(terms);
            assertEq(token.balanceOf(workers[0]), 950_000);
            assertEq(token.balanceOf(workers[2]), 950_000);
            assertEq(token.balanceOf(buyer), BUDGET - 3_060_000);
            assertEq(ledger.creditOf(hash, workers[1]), 950_000);
            vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.Unpayable.selector, workers[1]));
            ledger.claimCredit(terms, workers[1]);
            vm.prank(workers[1]);
            ledger.claimCreditTo(terms, creator);
            assertEq(token.balanceOf(creator), 150_000 + 950_000);
            assertEq(token.balanceOf(escrow), 0);
            vm.revertToState(start);
        }
    }

    function test_a_failing_transfer_to_refundTo_is_refused_and_sweepTo_goes_elsewhere() public {
        vm.warp(REFUND_AFTER);
        uint256 start = vm.snapshotState();
        for (uint256 i; i < 6; ++i) {
            token.misbehave(_failing()[i], buyer);
            vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.Unpayable.selector, buyer));
            ledger.sweep(terms, address(token));
            vm.prank(buyer);
            ledger.sweepTo(terms, address(token), creator);
            assertEq(token.balanceOf(creator), BUDGET);
            vm.revertToState(start);
        }
    }

    function test_a_token_that_fails_for_everybody_traps_nobody_else() public {
        uint256 start = vm.snapshotState();
        for (uint256 i; i < 6; ++i) {
            token.misbehave(_failing()[i], address(0));
            _settleThree(terms);
            assertEq(ledger.creditsOf(hash), 3_060_000);
            vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.Unpayable.selector, buyer));
            ledger.sweep(terms, address(token));
            token.misbehave(WeirdToken.Mode.Plain, address(0));
            ledger.sweep(terms, address(token));
            ledger.claimCredit(terms, workers[0]);
            assertEq(token.balanceOf(buyer), BUDGET - 3_060_000);
            vm.revertToState(start);
        }
    }

    function test_a_token_that_returns_nothing_pays_on_every_path() public {
        token.misbehave(WeirdToken.Mode.Reverts, workers[0]);
        _settleThree(terms);
        token.misbehave(WeirdToken.Mode.NoReturn, address(0));
        ledger.claimCredit(terms, workers[0]);
        token.mint(escrow, 5);
        ledger.sweep(terms, address(token));
        token.mint(escrow, 5);
        vm.prank(buyer);
        ledger.sweepTo(terms, address(token), creator);
        assertEq(token.balanceOf(workers[0]), 950_000);
        assertEq(token.balanceOf(escrow), 0);

        terms.salt = "no return in settle";
        token.mint(ledger.escrowOf(terms), BUDGET);
        _settleThree(terms);
        assertEq(ledger.creditsOf(ledger.hashTerms(terms)), 0);
    }

    /// The fee is between the token and its receivers; what leaves the escrow is exact.
    function test_a_fee_on_transfer_token_never_takes_from_credits_or_residual() public {
        token.misbehave(WeirdToken.Mode.Reverts, workers[0]);
        _settleThree(terms);
        assertEq(token.balanceOf(escrow), 950_000);
        token.misbehave(WeirdToken.Mode.Fee, address(0));
        token.mint(escrow, 100);
        ledger.sweep(terms, address(token));
        assertEq(token.balanceOf(escrow), 950_000);
        ledger.claimCredit(terms, workers[0]);
        assertEq(token.balanceOf(workers[0]), 950_000 - 9_500);
        assertEq(token.balanceOf(escrow), 0);
    }

    /// #57: sixteen gas burners cost one cap each, and the honest item of the batch is untouched.
    function test_threat_57_a_gas_burner_costs_one_cap_per_row() public {
        workers = _sortedWallets(16);
        token.misbehave(WeirdToken.Mode.BurnsGas, address(0));
        SettlementReceipt memory receipt = _paid(_rows(16, 100_000));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        uint256 before = gasleft();
        ledger.settle{gas: 16_000_000}(terms, receipt, _set(3, 5), signatures);
        uint256 used = before - gasleft();
        assertLt(used, 19 * 300_000 + 1_500_000);
        assertEq(ledger.creditsOf(hash), 16 * 100_000 + 32_000);
    }

    function test_threat_57_a_return_bomb_costs_no_memory_here() public {
        token.misbehave(WeirdToken.Mode.Bomb, address(0));
        uint256 before = gasleft();
        _settleThree(terms);
        assertLt(before - gasleft(), 1_500_000);
    }

    /// A hook between two payouts may call anything; nothing of the ledger that moves money answers.
    function test_a_reentrant_token_is_locked_out_of_every_entry() public {
        SettlementReceipt memory receipt = _paid(_rows(3, 1_000_000));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        bytes[5] memory calls = [
            abi.encodeCall(ledger.sweep, (terms, address(token))),
            abi.encodeCall(ledger.sweepTo, (terms, address(token), creator)),
            abi.encodeCall(ledger.claimCredit, (terms, workers[0])),
            abi.encodeCall(ledger.claimCreditTo, (terms, creator)),
            abi.encodeCall(ledger.settle, (terms, receipt, _set(3, 5), signatures))
        ];
        uint256 start = vm.snapshotState();
        for (uint256 i; i < 5; ++i) {
            token.setHook(address(ledger), calls[i]);
            ledger.settle(terms, receipt, _set(3, 5), signatures);
            assertFalse(token.hookDone());
            assertEq(bytes4(token.hookAnswer()), bytes4(keccak256("ReentrancyGuardReentrantCall()")));
            assertEq(token.balanceOf(buyer), BUDGET - 3_060_000);
            vm.revertToState(start);
        }
        vm.warp(REFUND_AFTER);
        for (uint256 i; i < 5; ++i) {
            token.setHook(address(ledger), calls[i]);
            ledger.sweep(terms, address(token));
            assertFalse(token.hookDone());
            assertEq(bytes4(token.hookAnswer()), bytes4(keccak256("ReentrancyGuardReentrantCall()")));
            vm.revertToState(start);
            vm.warp(REFUND_AFTER);
        }
    }

    /// An upgrade in the middle of a task's life changes the token's mind, not the ledger's.
    function test_an_upgradable_token_turns_bad_and_good_again() public {
        ProxyUSDCLogic good = new ProxyUSDCLogic();
        ProxyUSDC proxy = new ProxyUSDC(address(good));
        usdc = ProxyUSDCLogic(address(proxy));
        terms.asset = address(proxy);
        hash = ledger.hashTerms(terms);
        escrow = _fund(terms, BUDGET);
        proxy.upgrade(address(new DeadLogic()));
        vm.expectPartialRevert(ITaskEscrow.BalanceUnknown.selector);
        this.settleThree();
        proxy.upgrade(address(new FrozenLogic()));
        _settleThree(terms);
        assertEq(ledger.creditsOf(hash), 3_060_000);
        proxy.upgrade(address(good));
        ledger.sweep(terms, address(proxy));
        for (uint256 i; i < 3; ++i) {
            ledger.claimCredit(terms, workers[i]);
        }
        ledger.claimCredit(terms, creator);
        ledger.claimCredit(terms, gateway);
        assertEq(usdc.balanceOf(escrow), 0);
    }

    function settleThree() external {
        _settleThree(terms);
    }

    /// A balance that shrinks by itself breaks the token's promise; it must not break the ledger's arithmetic.
    function test_a_balance_below_the_credits_sweeps_nothing_and_pays_nobody_twice() public {
        token.misbehave(WeirdToken.Mode.Reverts, workers[0]);
        _settleThree(terms);
        token.misbehave(WeirdToken.Mode.Plain, address(0));
        vm.prank(escrow);
        token.transfer(creator, 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NothingToSweep.selector, address(token)));
        ledger.sweep(terms, address(token));
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.Unpayable.selector, workers[0]));
        ledger.claimCredit(terms, workers[0]);
    }

    /// A residual above 96 bits is paid as far as a payout goes, and the rest by a sweep.
    function test_a_residual_above_96_bits_is_swept_in_full() public {
        token.mint(escrow, 1 << 200);
        _settleThree(terms);
        assertEq(token.balanceOf(buyer), type(uint96).max);
        ledger.sweep(terms, address(token));
        assertEq(token.balanceOf(buyer), (1 << 200) + BUDGET - 3_060_000);
    }
}

/// Answers nothing.
contract DeadLogic {
    error Dead();

    fallback() external {
        revert Dead();
    }
}

/// Knows balances, moves nothing.
contract FrozenLogic is ProxyUSDCLogic {
    error Frozen();

    function transfer(address, uint256) external pure override returns (bool) {
        revert Frozen();
    }
}
