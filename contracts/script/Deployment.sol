// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TaskEscrow} from "../src/TaskEscrow.sol";

/// @notice Where the ledger is, on every chain: a function of the build alone.
library Deployment {
    /// The deterministic deployment proxy, at one address on all chains.
    address internal constant FACTORY = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    /// Its code, for chains that are made here.
    bytes internal constant FACTORY_CODE =
        hex"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";
    bytes32 internal constant SALT = bytes32("d402/task-escrow/v1");

    error DeploymentFailed();

    function initCode() internal view returns (bytes memory) {
        return type(TaskEscrow).creationCode;
    }

    function initCodeHash() internal view returns (bytes32) {
        return keccak256(initCode());
    }

    function ledger() internal view returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", FACTORY, SALT, initCodeHash())))));
    }

    /// The first thing the ledger's constructor makes: CREATE(ledger, nonce 1).
    function account() internal view returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", ledger(), hex"01")))));
    }

    /// Anybody may deploy; the address leaves nothing to choose.
    function deploy() internal {
        (bool done,) = FACTORY.call(abi.encodePacked(SALT, initCode()));
        if (!done || ledger().code.length == 0) revert DeploymentFailed();
    }
}
