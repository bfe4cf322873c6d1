// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Script} from "forge-std/Script.sol";
import {console} from "forge-std/console.sol";

import {Deployment} from "./Deployment.sol";

/// @notice Prints what `contracts/deployments.json` must say about this build.
contract Deployments is Script {
    function run() external {
        vm.etch(Deployment.FACTORY, Deployment.FACTORY_CODE);
        Deployment.deploy();
        console.log("salt           ", vm.toString(Deployment.SALT));
        console.log("initCodeHash   ", vm.toString(Deployment.initCodeHash()));
        console.log("ledger         ", vm.toString(Deployment.ledger()));
        console.log("account        ", vm.toString(Deployment.account()));
        console.log("ledgerCodeHash ", vm.toString(Deployment.ledger().codehash));
        console.log("accountCodeHash", vm.toString(Deployment.account().codehash));
    }
}
