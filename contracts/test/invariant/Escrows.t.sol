// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {Handler} from "./Handler.sol";
import {ProxyUSDCLogic} from "../tokens/ProxyUSDC.sol";
import {TaskEscrow} from "../../src/TaskEscrow.sol";

/// The invariants of spec §6 that hold for every escrow after any sequence of commands.
contract EscrowsInvariantTest is Test {
    Handler internal handler;
    TaskEscrow internal ledger;
    ProxyUSDCLogic internal usdc;

    function setUp() public {
        handler = new Handler();
        ledger = TaskEscrow(handler.ledgerAddress());
        usdc = ProxyUSDCLogic(handler.token());
        bytes4[] memory actions = new bytes4[](8);
        actions[0] = handler.deposit.selector;
        actions[1] = handler.passTime.selector;
        actions[2] = handler.toTheEdge.selector;
        actions[3] = handler.freeze.selector;
        actions[4] = handler.settle.selector;
        actions[5] = handler.sweep.selector;
        actions[6] = handler.sweepOther.selector;
        actions[7] = handler.claim.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), actions));
    }

    /// M1a: Σ deposits = Σ paid + Σ swept + balance. M1b: the balance covers the credits.
    function invariant_M1a_M1b_money_is_conserved_and_covers_the_credits() public view {
        uint256 inside;
        uint256 deposited;
        for (uint256 i; i < 2; ++i) {
            uint256 balance = usdc.balanceOf(handler.escrows(i));
            uint256 credits = ledger.creditsOf(handler.hashes(i));
            assertGe(balance, credits, "M1b");
            inside += balance;
            deposited += handler.deposited(i);
        }
        uint256 outside;
        for (uint256 i; i < handler.partyCount(); ++i) {
            outside += usdc.balanceOf(handler.parties(i));
        }
        assertEq(inside + outside, deposited, "M1a");
        assertEq(usdc.balanceOf(address(ledger)) + usdc.balanceOf(ledger.ACCOUNT()), 0, "the ledger never holds money");
    }

    /// M2a, M2b, M2c, M2e, M4a, M4b: what the handler saw after each command.
    function invariant_M2a_M2b_M2c_M2e_M4a_M4b_only_one_receipt_ever_moves_money_early() public view {
        assertEq(handler.broken(), "");
        for (uint256 i; i < 2; ++i) {
            assertLe(handler.settlements(i), 1, "M2e");
            assertEq(handler.escrows(i).code.length != 0, handler.marked(i), "M4b");
        }
    }

    /// M5a: whatever happened, somebody can empty it.
    function afterInvariant() public {
        handler.empty();
    }
}
