// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {stdJson} from "forge-std/StdJson.sol";

import {Vectors} from "./Vectors.sol";
import {ProxyUSDCLogic} from "../tokens/ProxyUSDC.sol";
import {WeirdToken} from "../tokens/WeirdToken.sol";
import {TaskEscrow} from "../../src/TaskEscrow.sol";
import {Authorization, Row, SettlementReceipt, Signature, Terms, Validator, ValidatorSet} from "../../src/Types.sol";

/// The contract and the Rust ledger live the same lives: the same commands at the same times, and after each of them the
/// same balances, credits and refusals. The file is written fresh by the example `base-sequences` of
/// `d402-settlement`, which describes its form.
contract DifferentialTest is Vectors {
    using stdJson for string;

    string internal constant PATH = "target/foundry/dev/base-sequences.json";
    uint256 internal constant LEAST = 500;

    struct Set {
        uint256 m;
        uint256[] keys;
    }

    TaskEscrow internal ledger;
    ProxyUSDCLogic internal asset;
    address[] internal parties;
    Set[] internal sets;
    uint256 internal payer = uint256(keccak256("payer"));
    uint256 internal nonce;

    bytes internal packed;
    uint256 internal position;
    Terms internal terms;
    Set internal set;
    address internal escrow;

    function test_the_contract_lives_the_lives_of_the_rust_ledger() public {
        string memory json = vm.readFile(PATH);
        ledger = _ledgerAt(json.readAddress(".ledger"));
        vm.chainId(_number(json, ".chainId"));
        deployCodeTo("ProxyUSDC.sol:ProxyUSDC", abi.encode(new ProxyUSDCLogic()), json.readAddress(".asset"));
        asset = ProxyUSDCLogic(json.readAddress(".asset"));
        parties = json.readAddressArray(".parties");
        for (uint256 i; _exists(json, _path("sets", i, "")); ++i) {
            sets.push(Set(_number(json, _path("sets", i, ".m")), json.readUintArray(_path("sets", i, ".keys"))));
        }
        bytes[] memory sequences = json.readBytesArray(".sequences");
        assertGe(sequences.length, LEAST);
        uint256 start = vm.snapshotState();
        for (uint256 i; i < sequences.length; ++i) {
            this.live(sequences[i], vm.toString(i));
            vm.revertToState(start);
        }
    }

    function live(bytes calldata source, string calldata name) external {
        (packed, position) = (source, 544);
        terms = abi.decode(source[:544], (Terms));
        set = sets[_take(1)];
        escrow = ledger.escrowOf(terms);
        for (uint256 step; position < source.length; ++step) {
            string memory where = string.concat("life ", name, " step ", vm.toString(step));
            vm.warp(_take(8));
            uint256 frozen = _take(1);
            for (uint256 i; i < parties.length; ++i) {
                asset.setBlocked(parties[i], frozen >> i & 1 == 1);
            }
            bool done = _run(_take(1));
            assertEq(done, _take(1) == 1, where);
            _expectWorld(where);
        }
    }

    function _expectWorld(string memory where) private {
        bytes32 hash = ledger.hashTerms(terms);
        assertEq(escrow.code.length != 0, _take(1) == 1, where);
        assertEq(asset.balanceOf(escrow), _take(8), where);
        assertEq(ledger.creditsOf(hash), _take(8), where);
        for (uint256 i; i < parties.length; ++i) {
            assertEq(asset.balanceOf(parties[i]), _take(8), where);
            uint256 credit = ledger.creditOf(hash, parties[i]);
            // What lapsed stays in its slot, where nobody can claim it any more.
            if (block.timestamp >= terms.refundAfter + 180 days && ledger.creditsOf(hash) == 0) credit = 0;
            assertEq(credit, _take(8), where);
        }
    }

    // ---- the commands

    function _run(uint256 kind) private returns (bool) {
        if (kind == 0) return _deposit(_take(8));
        if (kind == 1) return _pay(_take(8));
        if (kind == 2) return _settle();
        if (kind == 3) return _call(address(this), abi.encodeCall(ledger.claimCredit, (terms, parties[_take(1)])));
        if (kind == 4) {
            address payee = parties[_take(1)];
            return _call(payee, abi.encodeCall(ledger.claimCreditTo, (terms, _receiver(_take(1)))));
        }
        if (kind == 5) return _call(address(this), abi.encodeCall(ledger.sweep, (terms, address(asset))));
        if (kind == 6) {
            address caller = parties[_take(1)];
            return _call(caller, abi.encodeCall(ledger.sweepTo, (terms, address(asset), _receiver(_take(1)))));
        }
        uint256 amount = _take(8);
        if (kind == 7) return _sweepOther(amount);
        return _sweepEther(amount);
    }

    function _call(address caller, bytes memory data) private returns (bool done) {
        vm.prank(caller);
        (done,) = address(ledger).call(data);
    }

    function _deposit(uint256 amount) private returns (bool) {
        asset.mint(escrow, amount);
        return true;
    }

    function _pay(uint256 amount) private returns (bool) {
        address from = vm.addr(payer);
        asset.mint(from, amount);
        bytes32 id = bytes32(++nonce);
        uint256 until = block.timestamp + 1;
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                from,
                escrow,
                amount,
                0,
                until,
                id
            )
        );
        bytes memory sig = _sign(payer, keccak256(abi.encodePacked(hex"1901", asset.DOMAIN_SEPARATOR(), structHash)));
        (bool done,) = address(ledger)
            .call(
                abi.encodeWithSignature(
                    "pay((uint8,uint8,uint16,uint16,uint96,uint96,uint64,uint64,uint64,uint256,bytes32,address,address,bytes32,address,address,bytes32),(address,uint256,uint256,uint256,bytes32),bytes)",
                    terms,
                    Authorization(from, amount, 0, until, id),
                    sig
                )
            );
        return done;
    }

    function _settle() private returns (bool) {
        SettlementReceipt memory receipt;
        receipt.receiptCid = bytes32(_take(32));
        receipt.outcome = uint8(_take(1));
        Signature[] memory signatures = new Signature[](_take(1));
        receipt.rows = new Row[](_take(1));
        for (uint256 i; i < receipt.rows.length; ++i) {
            receipt.rows[i] = Row(parties[_take(1)], uint8(_take(1)), uint96(_take(8)));
        }
        bytes32 digest = ledger.settlementDigest(ledger.hashTerms(terms), receipt);
        for (uint256 i; i < signatures.length; ++i) {
            signatures[i] = Signature(uint8(i), _sign(set.keys[i], digest));
        }
        ValidatorSet memory validators;
        validators.m = uint8(set.m);
        validators.members = new Validator[](set.keys.length);
        for (uint256 i; i < set.keys.length; ++i) {
            validators.members[i].key = vm.addr(set.keys[i]);
        }
        return _call(address(this), abi.encodeCall(ledger.settle, (terms, receipt, validators, signatures)));
    }

    function _sweepOther(uint256 amount) private returns (bool done) {
        WeirdToken other = new WeirdToken();
        other.mint(escrow, amount);
        done = _call(address(this), abi.encodeCall(ledger.sweep, (terms, address(other))));
        assertEq(other.balanceOf(terms.refundTo), done ? amount : 0);
    }

    function _sweepEther(uint256 amount) private returns (bool done) {
        uint256 before = terms.refundTo.balance;
        vm.deal(escrow, amount);
        done = _call(address(this), abi.encodeCall(ledger.sweep, (terms, address(0))));
        assertEq(terms.refundTo.balance - before, done ? amount : 0);
    }

    /// A party, or one of those nobody may be paid through.
    function _receiver(uint256 place) private view returns (address) {
        if (place < parties.length) return parties[place];
        return [escrow, address(asset), address(ledger), address(0)][place - parties.length];
    }

    function _sign(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _take(uint256 width) private returns (uint256 value) {
        bytes memory source = packed;
        for (uint256 i; i < width; ++i) {
            value = value << 8 | uint8(source[position + i]);
        }
        position += width;
    }
}
