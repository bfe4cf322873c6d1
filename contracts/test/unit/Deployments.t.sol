// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {Deployment} from "../../script/Deployment.sol";
import {Record} from "../../script/Record.sol";
import {TaskEscrow} from "../../src/TaskEscrow.sol";

/// `contracts/deployments.json` is what this build makes. When this fails the bytecode changed: print the new record with
/// `forge script contracts/script/Deployments.s.sol`, and remember that old escrows stay with the old ledger.
contract DeploymentsTest is Test {
    function setUp() public {
        vm.etch(Deployment.FACTORY, Deployment.FACTORY_CODE);
    }

    function test_the_record_is_what_this_build_makes() public {
        Record.expectBuild();
        Deployment.deploy();
        Record.expectOnChain();
        assertEq(TaskEscrow(Deployment.ledger()).ACCOUNT(), Deployment.account());
    }

    function test_other_code_at_the_address_is_found() public {
        Deployment.deploy();
        vm.etch(Deployment.account(), hex"00");
        vm.expectPartialRevert(Record.Mismatch.selector);
        this.expectOnChain();
    }

    function test_every_network_names_its_token_and_no_other_network_is_known() public {
        vm.chainId(84532);
        assertEq(Record.usdc(), 0x036CbD53842c5426634e7929541eC2318f3dCF7e);
        vm.chainId(8453);
        assertEq(Record.usdc(), 0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913);
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(Record.UnknownNetwork.selector, 1));
        this.usdc();
    }

    function test_the_code_fits_the_limit_of_every_chain() public view {
        assertLt(vm.getDeployedCode("TaskEscrow.sol:TaskEscrow").length, 24_576);
    }

    function expectOnChain() external view {
        Record.expectOnChain();
    }

    function usdc() external view returns (address) {
        return Record.usdc();
    }
}
