// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {ProxyUSDC, ProxyUSDCLogic} from "../tokens/ProxyUSDC.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {TaskEscrow} from "../../src/TaskEscrow.sol";
import {Authorization, SettlementReceipt, Row, Signature, Terms, Validator, ValidatorSet} from "../../src/Types.sol";

/// What every test starts from: a ledger, a USDC-shaped token, a sorted set of validators, three workers, and terms that
/// settle. Times are relative to `NOW`.
abstract contract Scene is Test {
    uint64 internal constant NOW = 1_800_000_000;
    uint64 internal constant SETTLE_BY = NOW + 3_600;
    uint64 internal constant REFUND_AFTER = NOW + 7_200;
    uint96 internal constant BUDGET = 10_000_000;
    uint96 internal constant FEE_CAP = 1_000_000;

    TaskEscrow internal ledger;
    ProxyUSDCLogic internal usdc;
    uint256[] internal keys;
    address[] internal workers;
    address internal creator = makeAddr("creator");
    address internal gateway = makeAddr("gateway");
    address internal buyer = makeAddr("buyer");

    function setUp() public virtual {
        vm.warp(NOW);
        vm.chainId(84532);
        ledger = new TaskEscrow();
        usdc = ProxyUSDCLogic(_asset());
        keys = _sortedKeys(5);
        workers = _sortedWallets(3);
    }

    function _asset() internal virtual returns (address) {
        return address(new ProxyUSDC(address(new ProxyUSDCLogic())));
    }

    // ---- people

    function _sortedKeys(uint256 n) internal pure returns (uint256[] memory sorted) {
        sorted = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            sorted[i] = uint256(keccak256(abi.encode("validator", i)));
        }
        for (uint256 i; i < n; ++i) {
            for (uint256 j = i + 1; j < n; ++j) {
                if (vm.addr(sorted[j]) < vm.addr(sorted[i])) (sorted[i], sorted[j]) = (sorted[j], sorted[i]);
            }
        }
    }

    function _sortedWallets(uint256 n) internal returns (address[] memory sorted) {
        sorted = new address[](n);
        for (uint256 i; i < n; ++i) {
            sorted[i] = makeAddr(string.concat("wallet ", vm.toString(i)));
        }
        for (uint256 i; i < n; ++i) {
            for (uint256 j = i + 1; j < n; ++j) {
                if (sorted[j] < sorted[i]) (sorted[i], sorted[j]) = (sorted[j], sorted[i]);
            }
        }
    }

    /// The first `n` of the validators, all ECDSA.
    function _set(uint256 m, uint256 n) internal view returns (ValidatorSet memory set) {
        set.m = uint8(m);
        set.members = new Validator[](n);
        for (uint256 i; i < n; ++i) {
            set.members[i].key = vm.addr(keys[i]);
        }
    }

    // ---- messages

    function _terms() internal view returns (Terms memory terms) {
        return _terms(_set(3, 5));
    }

    function _terms(ValidatorSet memory set) internal view returns (Terms memory terms) {
        terms.version = 1;
        terms.commissionBps = 500;
        terms.gatewayFeeBps = 200;
        terms.budget = BUDGET;
        terms.validatorFeeCap = FEE_CAP;
        terms.issuedAt = NOW;
        terms.settleBy = SETTLE_BY;
        terms.refundAfter = REFUND_AFTER;
        terms.chainId = block.chainid;
        terms.taskId = keccak256("task");
        terms.asset = address(usdc);
        terms.refundTo = buyer;
        terms.validatorSet = ledger.hashSet(set);
        terms.commissionPayee = creator;
        terms.gatewayFeePayee = gateway;
        terms.salt = keccak256("salt");
    }

    function _rows(uint256 n, uint96 amount) internal view returns (Row[] memory rows) {
        rows = new Row[](n);
        for (uint256 i; i < n; ++i) {
            rows[i] = Row(workers[i], 0, amount);
        }
    }

    function _paid(Row[] memory rows) internal pure returns (SettlementReceipt memory) {
        return SettlementReceipt(keccak256("receipt"), 1, rows);
    }

    /// Signatures of the first `m` validators.
    function _sign(Terms memory terms, SettlementReceipt memory receipt, uint256 m)
        internal
        view
        returns (Signature[] memory)
    {
        uint256[] memory indexes = new uint256[](m);
        for (uint256 i; i < m; ++i) {
            indexes[i] = i;
        }
        return _signAs(terms, receipt, indexes);
    }

    function _signAs(Terms memory terms, SettlementReceipt memory receipt, uint256[] memory indexes)
        internal
        view
        returns (Signature[] memory signatures)
    {
        bytes32 digest = ledger.settlementDigest(ledger.hashTerms(terms), receipt);
        signatures = new Signature[](indexes.length);
        for (uint256 i; i < indexes.length; ++i) {
            signatures[i] = Signature(uint8(indexes[i]), _signature(keys[indexes[i]], digest));
        }
    }

    function _signature(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    // ---- money

    function _fund(Terms memory terms, uint256 amount) internal returns (address escrow) {
        escrow = ledger.escrowOf(terms);
        usdc.mint(escrow, amount);
    }

    /// Three equal workers paid by three of five.
    function _settleThree(Terms memory terms) internal returns (SettlementReceipt memory receipt) {
        receipt = _paid(_rows(3, 1_000_000));
        ledger.settle(terms, receipt, _set(3, 5), _sign(terms, receipt, 3));
    }
}
