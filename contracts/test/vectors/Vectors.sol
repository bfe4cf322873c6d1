// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {stdJson} from "forge-std/StdJson.sol";

import {TaskEscrow} from "../../src/TaskEscrow.sol";
import {Validator, ValidatorSet} from "../../src/Types.sol";

/// Reading `protocol/vectors/*-base.json`, the bytes that all implementations must agree on.
abstract contract Vectors is Test {
    using stdJson for string;

    function _file(string memory name) internal view returns (string memory) {
        return vm.readFile(string.concat("protocol/vectors/", name));
    }

    /// A ledger at the address the vectors were made for.
    function _ledgerAt(address place) internal returns (TaskEscrow) {
        if (place.code.length == 0) {
            // The account is the ledger's first contract, so the ledger needs the nonce a created contract has.
            vm.setNonce(place, 1);
            deployCodeTo("TaskEscrow.sol:TaskEscrow", place);
        }
        return TaskEscrow(place);
    }

    function _path(string memory list, uint256 i, string memory field) internal pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(i), "]", field);
    }

    function _exists(string memory json, string memory path) internal view returns (bool) {
        return vm.keyExistsJson(json, path);
    }

    function _number(string memory json, string memory path) internal pure returns (uint256) {
        return vm.parseUint(json.readString(path));
    }

    function _validators(string memory json, string memory path) internal view returns (ValidatorSet memory set) {
        set.m = uint8(_number(json, string.concat(path, ".m")));
        string memory members = string.concat(path, ".members");
        uint256 n;
        while (_exists(json, string.concat(members, "[", vm.toString(n), "]"))) ++n;
        set.members = new Validator[](n);
        for (uint256 i; i < n; ++i) {
            string memory member = string.concat(members, "[", vm.toString(i), "]");
            set.members[i] = Validator(
                json.readAddress(string.concat(member, ".key")), uint8(_number(json, string.concat(member, ".kind")))
            );
        }
    }
}
