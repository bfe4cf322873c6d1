// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {Deployment} from "./Deployment.sol";

/// @notice `contracts/deployments.json`: what the build must produce, and the networks it is meant for.
library Record {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    string internal constant PATH = "contracts/deployments.json";

    struct Entry {
        bytes32 salt;
        bytes32 initCodeHash;
        address ledger;
        address account;
        bytes32 ledgerCodeHash;
        bytes32 accountCodeHash;
    }

    error Mismatch(string field, bytes32 got, bytes32 recorded);
    error UnknownNetwork(uint256 chainId);

    function read() internal view returns (Entry memory entry) {
        string memory json = vm.readFile(PATH);
        entry.salt = vm.parseJsonBytes32(json, ".salt");
        entry.initCodeHash = vm.parseJsonBytes32(json, ".initCodeHash");
        entry.ledger = vm.parseJsonAddress(json, ".ledger");
        entry.account = vm.parseJsonAddress(json, ".account");
        entry.ledgerCodeHash = vm.parseJsonBytes32(json, ".ledgerCodeHash");
        entry.accountCodeHash = vm.parseJsonBytes32(json, ".accountCodeHash");
    }

    /// The token of the network this runs on.
    function usdc() internal view returns (address) {
        string memory json = vm.readFile(PATH);
        string memory key = string.concat(".networks.", vm.toString(block.chainid));
        if (!vm.keyExistsJson(json, key)) revert UnknownNetwork(block.chainid);
        return vm.parseJsonAddress(json, string.concat(key, ".usdc"));
    }

    /// The build is the recorded one.
    function expectBuild() internal view {
        Entry memory entry = read();
        _same("salt", Deployment.SALT, entry.salt);
        _same("initCodeHash", Deployment.initCodeHash(), entry.initCodeHash);
        _same("ledger", _word(Deployment.ledger()), _word(entry.ledger));
        _same("account", _word(Deployment.account()), _word(entry.account));
    }

    /// What lies on this chain is the recorded code.
    function expectOnChain() internal view {
        Entry memory entry = read();
        _same("ledgerCodeHash", entry.ledger.codehash, entry.ledgerCodeHash);
        _same("accountCodeHash", entry.account.codehash, entry.accountCodeHash);
    }

    function _same(string memory field, bytes32 got, bytes32 recorded) private pure {
        if (got != recorded) revert Mismatch(field, got, recorded);
    }

    function _word(address value) private pure returns (bytes32) {
        return bytes32(uint256(uint160(value)));
    }
}
