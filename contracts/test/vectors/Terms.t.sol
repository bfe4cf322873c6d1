// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {stdJson} from "forge-std/StdJson.sol";

import {Vectors} from "./Vectors.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {TaskEscrow} from "../../src/TaskEscrow.sol";
import {Row, SettlementReceipt, Terms, Unsettleable, ValidatorSet} from "../../src/Types.sol";

/// The other implementations' hashes, addresses, digests and verdicts.
contract TermsVectorsTest is Vectors {
    using stdJson for string;

    function test_terms_hash_and_settle_as_their_vectors_say() public {
        string memory json = _file("terms-base.json");
        TaskEscrow here = _ledgerAt(json.readAddress(".settleableDomain.ledger"));
        vm.chainId(_number(json, ".settleableDomain.chainId"));
        uint256 i;
        for (; _exists(json, _path("cases", i, ".bytes")); ++i) {
            Terms memory terms = abi.decode(json.readBytes(_path("cases", i, ".bytes")), (Terms));
            string memory name = json.readString(_path("cases", i, ".name"));
            string memory hashes = _path("cases", i, ".hashes");
            for (uint256 k; k < 2; ++k) {
                string memory hash = string.concat(hashes, "[", vm.toString(k), "]");
                TaskEscrow ledger = _ledgerAt(json.readAddress(string.concat(hash, ".ledger")));
                assertEq(ledger.hashTerms(terms), json.readBytes32(string.concat(hash, ".termsHash")), name);
            }
            _verdicts(here, json, terms, i, name);
        }
        assertGe(i, 30);
    }

    function _verdicts(TaskEscrow ledger, string memory json, Terms memory terms, uint256 i, string memory name)
        private
    {
        uint256 k;
        while (true) {
            string memory verdict = string.concat(_path("cases", i, ".settleable["), vm.toString(k), "]");
            if (!_exists(json, verdict)) break;
            vm.warp(_number(json, string.concat(verdict, ".now")));
            string memory want = _refusal(json, string.concat(verdict, ".refusal"));
            assertEq(_name(ledger.settleable(terms)), want, name);
            ++k;
        }
        assertGt(k, 0, name);
    }

    /// `null` is no refusal.
    function _refusal(string memory json, string memory path) private pure returns (string memory) {
        bytes memory raw = vm.parseJson(json, path);
        return raw.length > 0x40 ? abi.decode(raw, (string)) : "";
    }

    function test_bytes_that_are_no_terms_are_refused() public {
        string memory json = _file("terms-base.json");
        TaskEscrow ledger = _ledgerAt(json.readAddress(".settleableDomain.ledger"));
        uint256 i;
        for (; _exists(json, _path("refused", i, ".bytes")); ++i) {
            bytes memory data = json.readBytes(_path("refused", i, ".bytes"));
            (bool ok, bytes memory answer) =
                address(ledger).staticcall(bytes.concat(ITaskEscrow.hashTerms.selector, data));
            assertFalse(ok, vm.toString(i));
            assertEq(bytes4(answer), ITaskEscrow.MalformedTerms.selector);
        }
        assertGe(i, 13);
    }

    function test_sets_hash_or_are_refused_as_their_vectors_say() public {
        string memory json = _file("vset-base.json");
        TaskEscrow ledger = new TaskEscrow();
        uint256 refused;
        uint256 i;
        for (; _exists(json, _path("sets", i, "")); ++i) {
            ValidatorSet memory set = _validators(json, _path("sets", i, ""));
            (bool ok, bytes memory answer) = address(ledger).staticcall(abi.encodeCall(ledger.hashSet, (set)));
            if (_exists(json, _path("sets", i, ".setHash"))) {
                assertTrue(ok, vm.toString(i));
                assertEq(bytes32(answer), json.readBytes32(_path("sets", i, ".setHash")));
            } else {
                assertFalse(ok, vm.toString(i));
                ++refused;
            }
        }
        assertGe(i, 50);
        assertGt(refused, 10);
    }

    function test_settlement_digests_are_those_of_their_vectors() public {
        string memory json = _file("settlement-base.json");
        uint256 i;
        for (; _exists(json, _path("digests", i, "")); ++i) {
            TaskEscrow ledger = _ledgerAt(json.readAddress(_path("digests", i, ".domain.ledger")));
            vm.chainId(_number(json, _path("digests", i, ".domain.chainId")));
            SettlementReceipt memory receipt = SettlementReceipt(
                json.readBytes32(_path("digests", i, ".receiptCid")),
                uint8(_number(json, _path("digests", i, ".outcome"))),
                _rows(json, _path("digests", i, ".rows"))
            );
            bytes32 hash = json.readBytes32(_path("digests", i, ".termsHash"));
            assertEq(
                ledger.settlementDigest(hash, receipt), json.readBytes32(_path("digests", i, ".digest")), vm.toString(i)
            );
        }
        assertGe(i, 10);
    }

    function _rows(string memory json, string memory list) private view returns (Row[] memory rows) {
        uint256 n;
        while (_exists(json, string.concat(list, "[", vm.toString(n), "]"))) ++n;
        rows = new Row[](n);
        for (uint256 i; i < n; ++i) {
            string memory row = string.concat(list, "[", vm.toString(i), "]");
            rows[i] = Row(
                json.readAddress(string.concat(row, ".payee")),
                uint8(_number(json, string.concat(row, ".role"))),
                uint96(_number(json, string.concat(row, ".amount")))
            );
        }
    }

    function test_escrow_addresses_are_those_of_their_vectors() public {
        string memory json = _file("escrow-address.json");
        uint256 i;
        for (; _exists(json, _path("escrows", i, "")); ++i) {
            TaskEscrow ledger = _ledgerAt(json.readAddress(_path("escrows", i, ".ledger")));
            address implementation = json.readAddress(_path("escrows", i, ".implementation"));
            assertEq(ledger.ACCOUNT(), implementation);
            bytes32 init = keccak256(
                abi.encodePacked(
                    hex"3d602d80600a3d3981f3363d3d373d3d3d363d73", implementation, hex"5af43d82803e903d91602b57fd5bf3"
                )
            );
            bytes32 salt = json.readBytes32(_path("escrows", i, ".termsHash"));
            assertEq(
                vm.computeCreate2Address(salt, init, address(ledger)), json.readAddress(_path("escrows", i, ".escrow"))
            );
        }
        assertGe(i, 10);
    }

    function _name(Unsettleable reason) private pure returns (string memory) {
        string[18] memory names = [
            "",
            "Version",
            "OtherChain",
            "OnSilence",
            "CommissionBps",
            "GatewayFeeBps",
            "CommissionPayee",
            "GatewayFeePayee",
            "NoBudget",
            "ValidatorFeeCap",
            "IssuedInTheFuture",
            "SettleBy",
            "GraceTooShort",
            "LivesTooLong",
            "NoMint",
            "NoRefundTo",
            "NoValidatorSet",
            "RefundToForbidden"
        ];
        return names[uint8(reason)];
    }
}
