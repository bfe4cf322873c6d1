// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {stdJson} from "forge-std/StdJson.sol";

import {Vectors} from "./Vectors.sol";
import {WeirdToken} from "../tokens/WeirdToken.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {TaskEscrow} from "../../src/TaskEscrow.sol";
import {Row, SettlementReceipt, Signature, Terms, Validator, ValidatorSet} from "../../src/Types.sol";

/// `receipts-base.json`: more than a thousand receipts, honest and with one thing wrong, judged as Rust judges them.
contract ReceiptsVectorsTest is Vectors {
    using stdJson for string;

    /// Index in the file's `classes`.
    uint256 internal constant EXECUTED = 0;

    struct Case {
        Terms terms;
        ValidatorSet set;
        uint256 balance;
        SettlementReceipt receipt;
        Signature[] signatures;
        uint256 class;
    }

    TaskEscrow internal ledger;
    string[] internal classes;
    bytes[] internal terms;
    bytes[] internal sets;
    bytes internal packed;
    uint256 internal position;

    function test_a_thousand_receipts_are_judged_as_in_rust() public {
        string memory json = _file("receipts-base.json");
        ledger = _ledgerAt(json.readAddress(".domain.ledger"));
        vm.chainId(_number(json, ".domain.chainId"));
        classes = json.readStringArray(".classes");
        terms = json.readBytesArray(".terms");
        sets = json.readBytesArray(".sets");
        bytes[] memory cases = json.readBytesArray(".cases");
        assertGe(cases.length, 1_000);
        _prepare();
        uint256 start = vm.snapshotState();
        uint256 executed;
        for (uint256 i; i < cases.length; ++i) {
            // A call of its own each, so that the memory of a thousand cases is never held at once.
            if (this.judge(cases[i], vm.toString(i))) ++executed;
            vm.revertToState(start);
        }
        assertEq(executed, vm.parseUint(json.readStringArray(".counts")[EXECUTED]));
    }

    /// Code at every asset the terms name.
    function _prepare() private {
        for (uint256 i; i < terms.length; ++i) {
            address asset = abi.decode(terms[i], (Terms)).asset;
            if (asset.code.length == 0) deployCodeTo("WeirdToken.sol:WeirdToken", asset);
        }
    }

    function judge(bytes calldata source, string calldata name) external returns (bool executed) {
        (packed, position) = (source, 0);
        Case memory c = _unpack();
        WeirdToken token = WeirdToken(c.terms.asset);
        address escrow = ledger.escrowOf(c.terms);
        token.mint(escrow, c.balance);
        try ledger.settle(c.terms, c.receipt, c.set, c.signatures) {
            assertEq(c.class, EXECUTED, name);
            _expectPaid(c, token, name);
            return true;
        } catch (bytes memory reason) {
            assertEq(classes[c.class], _class(reason), name);
            assertEq(token.balanceOf(escrow), c.balance);
            return false;
        }
    }

    function _expectPaid(Case memory c, WeirdToken token, string memory name) private {
        // Every payee of these vectors is a stranger to the others, so a balance is one payout.
        assertEq(token.balanceOf(c.terms.commissionPayee), _take(8), name);
        assertEq(token.balanceOf(c.terms.gatewayFeePayee), _take(8), name);
        assertEq(token.balanceOf(c.terms.refundTo), _take(8), name);
        for (uint256 i; i < c.receipt.rows.length; ++i) {
            assertEq(token.balanceOf(c.receipt.rows[i].payee), _take(8), name);
        }
        assertEq(position, packed.length);
    }

    function _class(bytes memory reason) private pure returns (string memory) {
        bytes4 e = bytes4(reason);
        if (e == ITaskEscrow.NotSettleable.selector) return "NotSettleable";
        if (e == ITaskEscrow.TooLate.selector) return "TooLate";
        if (e == ITaskEscrow.BadSetSize.selector || e == ITaskEscrow.BadThreshold.selector) return "BadSet";
        if (e == ITaskEscrow.ValidatorsNotAscending.selector || e == ITaskEscrow.UnknownKind.selector) return "BadSet";
        if (e == ITaskEscrow.WrongSet.selector) return "WrongSet";
        if (e == ITaskEscrow.TooManyRows.selector || e == ITaskEscrow.RowsNotAscending.selector) return "BadRows";
        if (e == ITaskEscrow.ZeroAmount.selector || e == ITaskEscrow.BadRole.selector) return "BadRows";
        if (keccak256(reason) == keccak256(abi.encodeWithSelector(ITaskEscrow.BadPayee.selector, address(0)))) {
            return "BadRows";
        }
        if (e == ITaskEscrow.BadPayee.selector) return "BadPayee";
        if (e == ITaskEscrow.BadOutcome.selector) return "BadOutcome";
        if (e == ITaskEscrow.PaidWithoutWorker.selector) return "BadOutcome";
        if (e == ITaskEscrow.RejectedWithWorker.selector) return "BadOutcome";
        if (e == ITaskEscrow.BadSignature.selector || e == ITaskEscrow.UnknownSigner.selector) return "BadSignature";
        if (e == ITaskEscrow.SignersNotAscending.selector) return "BadSignature";
        if (e == ITaskEscrow.NotEnoughSignatures.selector) return "NotEnoughSignatures";
        if (e == ITaskEscrow.ValidatorsOverCap.selector) return "ValidatorsOverCap";
        if (e == ITaskEscrow.OverBudget.selector) return "OverBudget";
        if (e == ITaskEscrow.Underfunded.selector) return "Underfunded";
        return vm.toString(reason);
    }

    // ---- the packed form, described in the generator

    function _unpack() private returns (Case memory c) {
        c.terms = abi.decode(terms[_take(2)], (Terms));
        c.set = _set(sets[_take(1)]);
        vm.warp(_take(8));
        c.balance = _take(8);
        c.receipt.receiptCid = bytes32(_take(32));
        c.receipt.outcome = uint8(_take(1));
        c.receipt.rows = new Row[](_take(1));
        for (uint256 i; i < c.receipt.rows.length; ++i) {
            c.receipt.rows[i] = Row(address(uint160(_take(20))), uint8(_take(1)), uint96(_take(8)));
        }
        c.signatures = new Signature[](_take(1));
        for (uint256 i; i < c.signatures.length; ++i) {
            c.signatures[i].setIndex = uint8(_take(1));
            c.signatures[i].sig = _bytes(_take(1));
        }
        c.class = _take(1);
    }

    function _set(bytes memory source) private pure returns (ValidatorSet memory set) {
        set.m = uint8(source[0]);
        set.members = new Validator[]((source.length - 1) / 21);
        for (uint256 i; i < set.members.length; ++i) {
            uint256 entry;
            for (uint256 k; k < 21; ++k) {
                entry = entry << 8 | uint8(source[1 + 21 * i + k]);
            }
            set.members[i] = Validator(address(uint160(entry >> 8)), uint8(entry));
        }
    }

    function _take(uint256 width) private returns (uint256 value) {
        bytes memory source = packed;
        uint256 from = position;
        for (uint256 i; i < width; ++i) {
            value = value << 8 | uint8(source[from + i]);
        }
        position = from + width;
    }

    function _bytes(uint256 length) private returns (bytes memory value) {
        value = new bytes(length);
        bytes memory source = packed;
        for (uint256 i; i < length; ++i) {
            value[i] = source[position + i];
        }
        position += length;
    }
}
