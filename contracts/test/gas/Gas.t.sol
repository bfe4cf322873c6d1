// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUSDC} from "../tokens/TestUSDC.sol";
import {Multicall3} from "../tokens/Multicall3.sol";
import {Scene} from "../support/Scene.sol";
import {Authorization, SettlementReceipt, Signature, Terms, ValidatorSet} from "../../src/Types.sol";

/// Gas of whole transactions (`--isolate`): intrinsic gas and calldata are in it. Receivers that exist hold a unit.
abstract contract GasTest is Scene {
    function _token() internal pure virtual returns (string memory);

    function setUp() public virtual override {
        super.setUp();
        for (uint256 i; i < 3; ++i) {
            usdc.mint(workers[i], 1);
        }
        usdc.mint(creator, 1);
        usdc.mint(gateway, 1);
        usdc.mint(buyer, 1);
    }

    function _bare(Terms memory terms) internal pure {
        terms.commissionBps = 0;
        terms.gatewayFeeBps = 0;
        terms.commissionPayee = address(0);
        terms.gatewayFeePayee = address(0);
    }

    function test_gas_settle_3_of_5_3_payees_commission_fee_refund() public {
        Terms memory terms = _terms();
        _fund(terms, BUDGET);
        SettlementReceipt memory receipt = _paid(_rows(3, 1_000_000));
        ValidatorSet memory set = _set(3, 5);
        Signature[] memory signatures = _sign(terms, receipt, 3);
        ledger.settle(terms, receipt, set, signatures);
        vm.snapshotGasLastCall(_token(), "settle 3-of-5, 3 existing payees, commission, fee, refund");
    }

    function test_gas_settle_single() public {
        Terms memory terms = _terms(_set(1, 1));
        _bare(terms);
        _fund(terms, 1_000_000);
        SettlementReceipt memory receipt = _paid(_rows(1, 1_000_000));
        ValidatorSet memory set = _set(1, 1);
        Signature[] memory signatures = _sign(terms, receipt, 1);
        ledger.settle(terms, receipt, set, signatures);
        vm.snapshotGasLastCall(_token(), "settle 1-of-1, 1 existing payee");
    }

    function test_gas_refund() public {
        Terms memory terms = _terms();
        _fund(terms, BUDGET);
        vm.warp(REFUND_AFTER);
        ledger.sweep(terms, address(usdc));
        vm.snapshotGasLastCall(_token(), "refund");
    }

    function test_gas_late_sweep() public {
        Terms memory terms = _terms();
        _fund(terms, BUDGET);
        _settleThree(terms);
        _fund(terms, BUDGET);
        ledger.sweep(terms, address(usdc));
        vm.snapshotGasLastCall(_token(), "late sweep");
    }

    function test_gas_settle_with_3_fresh_payees() public {
        workers = _sortedWallets(6);
        address[] memory fresh = new address[](3);
        uint256 n;
        for (uint256 i; i < 6 && n < 3; ++i) {
            if (usdc.balanceOf(workers[i]) == 0) fresh[n++] = workers[i];
        }
        workers = fresh;
        Terms memory terms = _terms();
        _fund(terms, BUDGET);
        SettlementReceipt memory receipt = _paid(_rows(3, 1_000_000));
        ValidatorSet memory set = _set(3, 5);
        Signature[] memory signatures = _sign(terms, receipt, 3);
        ledger.settle(terms, receipt, set, signatures);
        vm.snapshotGasLastCall(_token(), "settle 3-of-5, 3 fresh payees, commission, fee, refund");
    }

    function test_gas_batch_of_10_with_3_payees() public {
        _batch(_set(3, 5), 3, true);
        vm.snapshotValue(
            _token(), "batch of 10 (Multicall3), per task, 3 existing payees", vm.lastCallGas().gasTotalUsed / 10
        );
    }

    function test_gas_batch_of_10_singles() public {
        _batch(_set(1, 1), 1, false);
        vm.snapshotValue(
            _token(), "batch of 10 (Multicall3), per task, 1 existing payee", vm.lastCallGas().gasTotalUsed / 10
        );
    }

    function _batch(ValidatorSet memory set, uint256 payees, bool full) private {
        Multicall3 multicall = new Multicall3();
        Multicall3.Call3[] memory calls = new Multicall3.Call3[](10);
        for (uint256 i; i < 10; ++i) {
            Terms memory terms = _terms(set);
            terms.salt = bytes32(uint256(keccak256(abi.encode(i))));
            if (!full) _bare(terms);
            _fund(terms, full ? BUDGET : 1_000_000);
            SettlementReceipt memory receipt = _paid(_rows(payees, 1_000_000));
            Signature[] memory signatures = _sign(terms, receipt, set.m);
            calls[i] = Multicall3.Call3(
                address(ledger), true, abi.encodeCall(ledger.settle, (terms, receipt, set, signatures))
            );
        }
        Multicall3.Result[] memory results = multicall.aggregate3(calls);
        for (uint256 i; i < 10; ++i) {
            assertTrue(results[i].success);
        }
    }
}

/// The token of the goals: proxy, pause flag, blocklist.
contract GasUsdcTest is GasTest {
    function _token() internal pure override returns (string memory) {
        return "usdc-shaped";
    }

    function test_gas_claim_credit() public {
        Terms memory terms = _terms();
        _fund(terms, BUDGET);
        usdc.setBlocked(workers[1], true);
        _settleThree(terms);
        usdc.setBlocked(workers[1], false);
        ledger.claimCredit(terms, workers[1]);
        vm.snapshotGasLastCall(_token(), "claim a credit");
    }

    function test_gas_pay() public {
        Terms memory terms = _terms();
        address escrow = ledger.escrowOf(terms);
        uint256 key = uint256(keccak256("payer"));
        usdc.mint(vm.addr(key), BUDGET);
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                vm.addr(key),
                escrow,
                BUDGET,
                0,
                NOW + 1,
                bytes32("1")
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        ledger.pay(terms, Authorization(vm.addr(key), BUDGET, 0, NOW + 1, "1"), v, r, s);
        vm.snapshotGasLastCall(_token(), "pay: authorization, terms published");
    }
}

/// The plain test token.
contract GasPlainTest is GasTest {
    function _token() internal pure override returns (string memory) {
        return "plain";
    }

    function _asset() internal override returns (address) {
        return address(new TestUSDC());
    }
}
