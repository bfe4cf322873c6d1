// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scene} from "../support/Scene.sol";
import {BlindToken} from "../tokens/WeirdToken.sol";
import {EscrowAccount} from "../../src/EscrowAccount.sol";
import {IEscrowAccount} from "../../src/interfaces/IEscrowAccount.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {SettlementReceipt, Terms} from "../../src/Types.sol";

/// The account behind an escrow address.
contract AccountTest is Scene {
    function test_NotLedger_on_every_function_of_clone_and_implementation() public {
        Terms memory terms = _terms();
        address escrow = _fund(terms, BUDGET);
        _settleThree(terms);
        address[2] memory accounts = [escrow, ledger.ACCOUNT()];
        for (uint256 i; i < 2; ++i) {
            IEscrowAccount account = IEscrowAccount(accounts[i]);
            bytes memory reason = abi.encodeWithSelector(IEscrowAccount.NotLedger.selector, address(this));
            vm.expectRevert(reason);
            account.disburse(address(usdc), new uint256[](0));
            vm.expectRevert(reason);
            account.transfer(address(usdc), address(this), 1);
            vm.expectRevert(reason);
            account.transferEther(address(this), 1);
        }
    }

    function test_NotEnoughGas_says_what_is_needed() public {
        EscrowAccount account = new EscrowAccount();
        vm.expectPartialRevert(IEscrowAccount.NotEnoughGas.selector);
        account.transfer{gas: 200_000}(address(usdc), buyer, 1);
        vm.expectPartialRevert(IEscrowAccount.NotEnoughGas.selector);
        account.transferEther{gas: 200_000}(buyer, 1);
    }

    /// EIP-150 hands over 63/64 of what there is: a check for the cap alone would let a submitter choose a gas limit at
    /// which a token that needs nearly all of it fails.
    function test_M6c_a_token_that_needs_nearly_the_whole_cap_is_paid_at_every_gas_limit_that_passes() public {
        EscrowAccount account = new EscrowAccount();
        HungryToken token = new HungryToken();
        uint256 paid;
        uint256 refused;
        for (uint256 gasLimit = 295_000; gasLimit < 325_000; gasLimit += 250) {
            try account.transfer{gas: gasLimit}(address(token), buyer, 1) returns (bool sent) {
                assertTrue(sent, "a payee who can be paid");
                ++paid;
            } catch {
                ++refused;
            }
        }
        assertGt(paid, 0);
        assertGt(refused, 0);
    }

    function test_a_token_without_code_is_not_paid() public {
        EscrowAccount account = new EscrowAccount();
        assertFalse(account.transfer(makeAddr("no code"), buyer, 1));
    }

    function test_clones_take_no_ether_once_they_exist() public {
        Terms memory terms = _terms();
        address escrow = _fund(terms, BUDGET);
        _settleThree(terms);
        vm.deal(address(this), 1);
        (bool ok,) = escrow.call{value: 1}("");
        assertFalse(ok);
    }

    function test_an_escrow_is_the_canonical_clone_of_the_account() public {
        Terms memory terms = _terms();
        address escrow = _fund(terms, BUDGET);
        _settleThree(terms);
        assertEq(
            escrow.code,
            abi.encodePacked(hex"363d3d373d3d3d363d73", ledger.ACCOUNT(), hex"5af43d82803e903d91602b57fd5bf3")
        );
        assertEq(ledger.ACCOUNT(), vm.computeCreateAddress(address(ledger), 1));
    }

    function test_BalanceUnknown_for_short_answers_and_gas_burners() public {
        BlindToken blind = new BlindToken();
        Terms memory terms = _terms();
        terms.asset = address(blind);
        for (uint256 size; size < 32; size += 31) {
            blind.set(size, false);
            vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BalanceUnknown.selector, address(blind)));
            ledger.statusOf(terms);
        }
        blind.set(32, false);
        ledger.statusOf(terms);
        blind.set(1_000_000, false);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BalanceUnknown.selector, address(blind)));
        ledger.statusOf(terms);
        blind.set(32, true);
        uint256 before = gasleft();
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.BalanceUnknown.selector, address(blind)));
        ledger.statusOf(terms);
        assertLt(before - gasleft(), 400_000, "one cap");
    }

    function test_views_preview_address_outcome_and_status() public {
        Terms memory terms = _terms();
        _fund(terms, BUDGET);
        SettlementReceipt memory receipt = _paid(_rows(2, 1_000_000));
        assertEq(ledger.previewSettle(terms, receipt).owed, 2_040_000);
        assertEq(ledger.previewSettle(terms, receipt).residual, BUDGET - 2_040_000);
        assertEq(ledger.previewSettle(terms, receipt).payouts.length, 5);
        assertEq(ledger.previewSettle(terms, receipt).commission, 100_000);
        assertEq(ledger.statusOf(terms).balance, BUDGET);
        assertEq(ledger.statusOf(terms).settled, false);
        assertEq(ledger.statusOf(terms).sweepable, false);
        assertEq(ledger.neededSignatures(terms, _set(3, 5)), 3);
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifier,,) =
            ledger.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(string.concat(name, version), "d402 TaskEscrow1");
        assertEq(chainId, block.chainid);
        assertEq(verifier, address(ledger));
        _settleThree(terms);
        assertEq(ledger.statusOf(terms).settled, true);
        assertEq(ledger.statusOf(terms).sweepable, true);
    }
}

/// Pays whoever brings nearly all the gas a token call gets.
contract HungryToken {
    function transfer(address, uint256) external view returns (bool) {
        return gasleft() > 299_000;
    }
}
