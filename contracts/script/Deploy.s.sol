// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Script} from "forge-std/Script.sol";
import {console} from "forge-std/console.sol";

import {Deployment} from "./Deployment.sol";
import {Record} from "./Record.sol";

/// @notice Deploys the ledger where it is not yet, and holds the chain's code against the build
/// (docs/runbooks/deploy-contracts.md).
contract Deploy is Script {
    error NoFactory();
    error NoToken(address usdc);

    /// Deploys, or finds that this is done already.
    function run() external {
        Record.expectBuild();
        _expectNetwork();
        if (Deployment.ledger().code.length == 0) {
            vm.startBroadcast();
            Deployment.deploy();
            vm.stopBroadcast();
        }
        verify();
    }

    /// Sends nothing: the chain's code is the build's.
    function verify() public view {
        Record.expectBuild();
        Record.expectOnChain();
        console.log("ledger ", Deployment.ledger());
        console.log("account", Deployment.account());
    }

    /// A missing factory or token says that the RPC is not the network it is taken for.
    function _expectNetwork() private view {
        if (Deployment.FACTORY.code.length == 0) revert NoFactory();
        address usdc = Record.usdc();
        if (usdc.code.length == 0) revert NoToken(usdc);
    }
}
